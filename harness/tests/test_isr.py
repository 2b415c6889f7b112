"""Acknowledgements, in-sync replicas, and logs that part and join again."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import KafkaError

from harness import checkers, faults, logs
from harness.checkers import Validity
from harness.history import FAIL, INFO, OK
from harness.workload import Topic, read_back


# A third of Kafka's times, so that a dead node is missed after 3 s.
QUICK = {"broker.heartbeat.interval.ms": "600", "broker.session.timeout.ms": "3000"}

# Seconds in which a leader answers, with nothing, the fetches of followers that were paused: an
# answer with records would wait in their sockets and outlive the leader.
FETCHES_ANSWERED = 1.0
SHORT_FETCHES = {"replica.fetch.wait.max.ms": "100"}


def replica_batches(topic: Topic) -> dict[int, list[logs.Batch]]:
    """Node id -> the batches in its files, once every replica has everything."""
    topic.settle_replicas()
    if topic.cluster.layout != "per_partition":
        pytest.skip("replicas are compared by their files, and only those of log.layout="
                    "per_partition are Kafka's")
    return {i: logs.batches(node.data / f"{topic.name}-0")
            for i, node in topic.cluster.nodes.items()}


def assert_replicas_equal(topic: Topic) -> None:
    copies = replica_batches(topic)
    first = copies[min(copies)]
    assert first, "the logs are empty"
    for node, batches in copies.items():
        assert batches == first, f"node {node} differs"


@pytest.mark.cluster
@pytest.mark.parametrize("acks, fate", [("0", INFO), ("1", OK), ("all", OK)])
def test_records_of_every_acks_reach_every_replica(cluster, topic, history, acks, fate):
    topic.produce(500, acks=acks, history=history)
    read = topic.read_all()
    assert history.count(fate) == 500
    assert len(read.places) == 500
    assert {v.valid for v in checkers.check(history, read).values()} == {
        Validity.UNKNOWN if acks == "0" else Validity.TRUE}
    assert_replicas_equal(topic)


@pytest.mark.cluster(controllers=1, config={"min.insync.replicas": "2", **QUICK})
def test_acks_all_is_refused_below_min_insync_replicas_and_accepted_again_above(
        cluster, topic, history):
    topic.produce(50, history=history)
    with faults.kill(cluster.nodes[2], history=history):
        topic.produce(50, history=history)
        with faults.kill(cluster.nodes[3], history=history):
            leader = cluster.leader(topic)
            assert leader.id == 1
            cluster.wait_for(lambda: leader.status().partition(topic.name, 0).isr == (1,), 30,
                             "the in-sync replicas to be node 1 alone")
            alone = topic.producer(history, config={"enable.idempotence": False, "retries": 0})
            alone.send()
            alone.finish()
            assert alone.last_error.code() == KafkaError.NOT_ENOUGH_REPLICAS
            assert history.count(FAIL) == 1
            topic.produce(20, acks="1", history=history)
    topic.produce(50, history=history)
    checkers.require(history, topic.read_all())
    assert_replicas_equal(topic)


@pytest.mark.cluster(config={**SHORT_FETCHES, **QUICK})
def test_what_only_a_dead_leader_had_is_truncated_when_it_comes_back(cluster, topic, history):
    topic.produce(100, history=history)
    topic.settle_replicas()
    old = cluster.leader(topic)
    followers = [node for node in cluster.nodes.values() if node is not old]
    with faults.pause(followers[0], history=history), faults.pause(followers[1], history=history):
        time.sleep(FETCHES_ANSWERED)
        unreplicated = topic.produce(50, acks="1")
        seen = read_back(cluster.bootstrap, topic.name, {0: 150}, timeout=2)
        old.kill()
    assert unreplicated.count(OK) == 50
    assert len(seen.places) == 100, "a consumer read what is not committed"
    new = cluster.leader(topic)
    assert new is not old
    topic.produce(80, history=history)
    old.restart()
    read = topic.read_all()
    sent_to_old = {s.id for s in unreplicated.sends()}
    assert not sent_to_old & set(read.places), "the log has what its leader never had"
    checkers.require(history, read)
    assert_replicas_equal(topic)


@pytest.mark.cluster(config={**SHORT_FETCHES, **QUICK})
def test_what_no_follower_has_is_not_acknowledged_and_so_not_lost_with_its_leader(
        cluster, topic, history):
    topic.produce(100, history=history)
    old = cluster.leader(topic)
    followers = [node for node in cluster.nodes.values() if node is not old]
    with faults.pause(followers[0], history=history), faults.pause(followers[1], history=history):
        time.sleep(FETCHES_ANSWERED)
        # Without idempotence, as no majority is there to give out a producer id.
        topic.produce(50, history=history, timeout=2,
                      config={"enable.idempotence": False, "retries": 0})
        old.kill()
    cluster.leader(topic)
    topic.produce(50, history=history)
    checkers.require(history, topic.read_all())
    assert history.count(OK) == 150


@pytest.mark.both_engines
@pytest.mark.cluster(config={"log.segment.bytes": "1048576", **QUICK})
def test_replicas_are_equal_byte_for_byte_after_leaders_changed_and_segments_rolled(
        cluster, topic, history, rng):
    for _ in range(3):
        topic.produce(1_000, history=history, size=1_000)
        with faults.kill(cluster.leader(topic), history=history):
            topic.produce(500, history=history, size=1_000)
        topic.settle_replicas()
    checkers.require(history, topic.read_all())
    assert_replicas_equal(topic)
