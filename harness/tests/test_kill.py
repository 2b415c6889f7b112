"""SIGKILL of any process at random moments under load, of all at once, and silence: no acknowledged
record is lost, duplicated or reordered, and the service comes back by itself each time.

In full, with the recovery time of every kill in the output:

    /usr/bin/python3 -m pytest -m cluster harness/tests/test_kill.py -k any_process --kills 20 -rP
"""

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
    """True when every partition has acknowledged to every producer a record that was sent after
    `since_ns` (monotonic)."""
    return all(len(p.producer.served) == p.producer.partitions
               and min(p.producer.served.values()) > since_ns for p in producers)


def victim(cluster: LocalCluster, topic: Topic, kill: int, rng: random.Random) -> tuple[str, Node]:
    """In turn: a partition's leader, the active controller, anyone."""
    if kill % 3 == 0:
        return "leader", cluster.leader(topic, rng.randrange(PARTITIONS))
    if kill % 3 == 1:
        return "controller", cluster.controller()
    return "anyone", rng.choice(list(cluster.nodes.values()))


def whole(cluster: LocalCluster, topic: Topic) -> bool:
    """True when every partition has all replicas in sync, so that the next kill is one failure."""
    for partition in range(PARTITIONS):
        view = cluster.leader(topic, partition).status().partition(topic.name, partition)
        if view is None or len(view.isr) != topic.replication_factor:
            return False
    return True


@pytest.mark.timeout(1800)
@pytest.mark.both_engines
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
            role, node = victim(cluster, topic, kill, rng)
            with faults.kill(node, history=history):
                since = time.monotonic_ns()
                cluster.wait_for(lambda since=since: serves(producers, since), SERVICE_TIMEOUT,
                                 f"service without node {node.id}, kill {kill + 1}")
                seconds = (time.monotonic_ns() - since) / 1e9
                time.sleep(rng.uniform(0, 1.0))
            restarted = time.monotonic()
            cluster.wait_for(lambda: whole(cluster, topic), SERVICE_TIMEOUT,
                             f"node {node.id} to be in sync again, kill {kill + 1}")
            print(f"kill {kill + 1}: node {node.id} ({role}); service on all partitions after "
                  f"{seconds:.2f} s; in sync {time.monotonic() - restarted:.2f} s after its ready")
    assert not first.fatal_errors + second.fatal_errors
    read = topic.read_all()
    checkers.require(history, read)
    print(f"acknowledged {first.producer.acked + second.producer.acked}, read {len(read.places)}: "
          + ", ".join(f"{v.name} {v.count}" for v in checkers.check(history, read).values()))


@pytest.mark.both_engines
@pytest.mark.cluster(config={"min.insync.replicas": "2"})
def test_all_processes_killed_at_once_come_back_with_everything_acknowledged(
        cluster, history, rng):
    topic = Topic(cluster, "blackout", partitions=PARTITIONS).create()
    with topic.producing(rate=500, history=history) as producing:
        cluster.wait_for(lambda: serves([producing], 0), SERVICE_TIMEOUT, "the first records")
        for _ in range(2):
            time.sleep(rng.uniform(0.1, 1.0))
            cluster.kill()
            cluster.start()
            since = time.monotonic_ns()
            cluster.wait_for(lambda since=since: serves([producing], since), SERVICE_TIMEOUT,
                             "service after all")
    assert not producing.fatal_errors
    checkers.require(history, topic.read_all())


@pytest.mark.both_engines
@pytest.mark.both_layouts
@pytest.mark.all_modules
@pytest.mark.cluster(config={"min.insync.replicas": "2"})
def test_what_was_acknowledged_before_all_processes_were_killed_is_there_without_its_producer(
        cluster, history):
    topic = Topic(cluster, "blackout", partitions=PARTITIONS).create()
    topic.produce(2_000, history=history)
    cluster.kill()
    cluster.start()
    checkers.require(history, topic.read_all())
    assert history.count("ok") == 2_000


@pytest.mark.cluster(config={"min.insync.replicas": "2"})
def test_a_leader_that_was_paused_past_its_session_neither_loses_nor_repeats_anything(
        cluster, history):
    """Its first words after the pause may still claim the lead: librdkafka before 2.1 believes such
    stale metadata, and its idempotent producer then ends with a fatal error, as with Kafka."""
    topic = Topic(cluster, "pause").create()
    with topic.producing(rate=200, history=history) as producing:
        cluster.wait_for(lambda: producing.producer.acked > 100, SERVICE_TIMEOUT, "records")
        old = cluster.leader(topic)
        with faults.pause(old, history=history):
            since = time.monotonic_ns()
            cluster.wait_for(lambda: serves([producing], since), SERVICE_TIMEOUT,
                             "service without the paused leader")
        resumed = time.monotonic_ns()
        cluster.wait_for(lambda: serves([producing], resumed + 10**9), SERVICE_TIMEOUT,
                         "service after the pause")
    assert cluster.leader(topic) is not old
    topic.settle_replicas()
    checkers.require(history, topic.read_all())


@pytest.mark.all_modules
@pytest.mark.cluster(config={"min.insync.replicas": "2"})
def test_a_paused_controller_is_replaced_and_steps_down_when_it_comes_back(cluster, history):
    topic = Topic(cluster, "pause", partitions=PARTITIONS).create()
    with topic.producing(rate=200, history=history) as producing:
        cluster.wait_for(lambda: serves([producing], 0), SERVICE_TIMEOUT, "the first records")
        old = cluster.controller()
        before = old.status().consensus.epoch
        with faults.pause(old, history=history):
            new = cluster.controller()
            assert new is not old
            Topic(cluster, "meanwhile", replication_factor=2).create()
        cluster.wait_for(lambda: old.status().consensus.leader == new.id, SERVICE_TIMEOUT,
                         "the old controller to follow the new one")
        resumed = time.monotonic_ns()
        cluster.wait_for(lambda: serves([producing], resumed), SERVICE_TIMEOUT,
                         "service after the pause")
    status = old.status()
    assert not status.controller_active and status.consensus.epoch > before
    assert [i for i, s in cluster.statuses().items() if s.controller_active] == [new.id]
    # The pause cost the broker in the same process its session.
    cluster.wait_for(lambda: not any(broker.fenced for broker in new.status().brokers),
                     SERVICE_TIMEOUT, "the broker that was paused to be one of three again")
    Topic(cluster, "afterwards").create()
    topic.settle_replicas()
    checkers.require(history, topic.read_all())
