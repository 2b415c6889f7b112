"""SIGKILL of any process at random moments under load: no acknowledged record is lost, duplicated
or reordered, and the service comes back by itself each time."""

from __future__ import annotations

import random
import time

import pytest

from harness import checkers, faults
from harness.cluster import LocalCluster, Node
from harness.workload import BackgroundProducer, Topic

PARTITIONS = 3
SERVICE_TIMEOUT = 30.0  # Seconds from a kill to acknowledgements on every partition.


def serves(producers: list[BackgroundProducer], since_ns: int) -> bool:
    """True when every partition has acknowledged to every producer after `since_ns` (monotonic)."""
    return all(len(p.producer.acked_at) == PARTITIONS
               and min(p.producer.acked_at.values()) > since_ns for p in producers)


def victim(cluster: LocalCluster, topic: Topic, kill: int, rng: random.Random) -> Node:
    """In turn: a partition's leader, the active controller, anyone."""
    if kill % 3 == 0:
        return cluster.leader(topic, rng.randrange(PARTITIONS))
    if kill % 3 == 1:
        return cluster.controller()
    return rng.choice(list(cluster.nodes.values()))


@pytest.mark.timeout(1800)
@pytest.mark.cluster(config={"min.insync.replicas": "2"})
def test_any_process_may_be_killed_at_any_time_and_nothing_acknowledged_is_lost(
        cluster, history, rng, request):
    topic = Topic(cluster, "kills", partitions=PARTITIONS).create()
    with topic.producing(rate=300, history=history) as first, \
            topic.producing(rate=300, history=history) as second:
        producers = [first, second]
        cluster.wait_for(lambda: serves(producers, 0), SERVICE_TIMEOUT, "the first records")
        for kill in range(request.config.option.kills):
            time.sleep(rng.uniform(0.1, 1.0))
            node = victim(cluster, topic, kill, rng)
            with faults.kill(node, history=history):
                since = time.monotonic_ns()
                cluster.wait_for(lambda since=since: serves(producers, since), SERVICE_TIMEOUT,
                                 f"service without node {node.id}, kill {kill + 1}")
                time.sleep(rng.uniform(0, 1.0))
            cluster.wait_for(lambda: whole(cluster, topic), SERVICE_TIMEOUT,
                             f"node {node.id} to be in sync again, kill {kill + 1}")
    checkers.require(history, topic.read_all())


def whole(cluster: LocalCluster, topic: Topic) -> bool:
    """True when every partition has all replicas in sync, so that the next kill is one failure."""
    for partition in range(PARTITIONS):
        view = cluster.leader(topic, partition).status().partition(topic.name, partition)
        if view is None or len(view.isr) != topic.replication_factor:
            return False
    return True


@pytest.mark.cluster(config={"min.insync.replicas": "2"})
def test_all_processes_killed_at_once_come_back_with_everything_acknowledged(
        cluster, history, rng):
    topic = Topic(cluster, "blackout", partitions=PARTITIONS).create()
    with topic.producing(rate=500, history=history) as producing:
        cluster.wait_for(lambda: serves([producing], 0), SERVICE_TIMEOUT, "the first records")
        time.sleep(rng.uniform(0.1, 1.0))
        cluster.kill()
        cluster.start()
        since = time.monotonic_ns()
        cluster.wait_for(lambda: serves([producing], since), SERVICE_TIMEOUT, "service after all")
    checkers.require(history, topic.read_all())


@pytest.mark.cluster(config={"min.insync.replicas": "2"})
def test_a_leader_that_was_paused_past_its_session_neither_loses_nor_repeats_anything(
        cluster, history):
    topic = Topic(cluster, "pause").create()
    with topic.producing(rate=200, history=history) as producing:
        cluster.wait_for(lambda: producing.producer.acked > 100, SERVICE_TIMEOUT, "records")
        with faults.pause(cluster.leader(topic), history=history):
            since = time.monotonic_ns()
            cluster.wait_for(lambda: min(producing.producer.acked_at.values()) > since + 10**9,
                             2 * SERVICE_TIMEOUT, "service without the paused leader")
        time.sleep(1)
    checkers.require(history, topic.read_all())
