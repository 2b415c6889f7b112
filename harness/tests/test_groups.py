"""replicator=consensus: a partition is a consensus group, and clients see no difference."""

from __future__ import annotations

import pytest

from harness import checkers, faults
from harness.workload import Topic

SERVICE_TIMEOUT = 30.0  # Seconds; generous, since a loaded machine elects slowly.
# A dead broker is missed by the controller after 2 s, and by its groups before.
GROUPS = {"replicator": "consensus", "broker.heartbeat.interval.ms": "400",
          "broker.session.timeout.ms": "2000"}


@pytest.mark.cluster(config=GROUPS)
def test_what_was_acknowledged_survives_leaders_that_are_killed(cluster, history):
    topic = Topic(cluster, "groups", partitions=3).create()
    for _ in range(3):
        topic.produce(300, history=history)
        old = cluster.leader(topic)
        with faults.kill(old, history=history):
            cluster.wait_for(lambda old=old: cluster.leader(topic) is not old, SERVICE_TIMEOUT,
                             "another leader")
            topic.produce(300, history=history)
        topic.settle_replicas()
    checkers.require(history, topic.read_all())


@pytest.mark.cluster(brokers=4, controllers=1, config=GROUPS)
def test_brokers_that_are_no_voters_have_groups_too(cluster, history):
    topic = Topic(cluster, "groups", partitions=8).create()
    topic.produce(400, history=history)
    topic.settle_replicas()
    checkers.require(history, topic.read_all())


@pytest.mark.cluster(config=GROUPS)
def test_groups_know_everything_when_the_cluster_is_started_again(cluster, history):
    topic = Topic(cluster, "groups", partitions=3).create()
    topic.produce(200, history=history)
    for node in cluster.nodes.values():
        node.kill()
    cluster.start()
    topic.produce(200, history=history)
    topic.settle_replicas()
    checkers.require(history, topic.read_all())


@pytest.mark.cluster(config={**GROUPS, "num.shards": "2"})
def test_groups_of_two_threads_share_the_links_between_brokers(cluster, history):
    # With directories that are named as those of the groups' own logs once were.
    topic = Topic(cluster, "groups", partitions=8).create()
    topic.produce(400, history=history)
    old = cluster.leader(topic)
    with faults.kill(old, history=history):
        cluster.wait_for(lambda: cluster.leader(topic) is not old, SERVICE_TIMEOUT,
                         "another leader")
        topic.produce(400, history=history)
    topic.settle_replicas()
    checkers.require(history, topic.read_all())
