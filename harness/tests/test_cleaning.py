"""Old records: compaction, retention, and DeleteRecords, as clients and replicas see them."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from harness import faults, raw
from harness.workload import Topic

OFFSET_OUT_OF_RANGE, NOT_LEADER = 1, 6

# Looks at the logs often, and misses a dead node after 3 s.
OFTEN = {"log.retention.check.interval.ms": "200", "broker.heartbeat.interval.ms": "600",
         "broker.session.timeout.ms": "3000"}


def send(topic: Topic, records: list[tuple[bytes | None, bytes | None]],
         codec: str = "none") -> list[KafkaError]:
    """Produces (key, value) pairs with acks=all; the errors of those that failed."""
    errors: list[KafkaError] = []
    producer = Producer({"bootstrap.servers": topic.cluster.bootstrap, "acks": "all",
                         "compression.type": codec, "linger.ms": 5})
    for key, value in records:
        producer.produce(topic.name, key=key, value=value, partition=0,
                         on_delivery=lambda e, _: errors.append(e) if e is not None else None)
    producer.flush(30)
    return errors


def consumer_of(topic: Topic) -> Consumer:
    return Consumer({"bootstrap.servers": topic.cluster.bootstrap, "group.id": "nobody",
                     "enable.auto.commit": False, "auto.offset.reset": "error",
                     "enable.partition.eof": True})


def watermarks(topic: Topic) -> tuple[int, int]:
    """Where the log starts, and the high watermark."""
    consumer = consumer_of(topic)
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic.name, 0), timeout=10)
    finally:
        consumer.close()


def read_from_start(topic: Topic) -> list[tuple[int, bytes | None, bytes | None]]:
    """(offset, key, value) of all there is, by librdkafka."""
    low, _ = watermarks(topic)
    consumer = consumer_of(topic)
    consumer.assign([TopicPartition(topic.name, 0, low)])
    found = []
    try:
        while True:
            message = consumer.poll(10)
            assert message is not None, "the consumer stands still"
            if message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                return found
            found.append((message.offset(), message.key(), message.value()))
    finally:
        consumer.close()


def log_starts(topic: Topic) -> set[int]:
    """Where the log starts, on each node."""
    return {view.log_start for status in topic.cluster.statuses().values()
            if (view := status.partition(topic.name, 0))}


@pytest.mark.cluster(config=OFTEN)
def test_a_compacted_topic_shows_the_latest_of_each_key_also_to_a_follower_that_was_away(cluster):
    topic = Topic(cluster, "compacted").create(
        {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0",
         "delete.retention.ms": "0"})
    away = next(n for n in cluster.nodes.values() if n is not cluster.leader(topic))
    latest = {b"key-%d" % i: b"3-%d" % i for i in range(1, 100)}
    with faults.kill(away):
        for round_, codec in enumerate(("none", "gzip", "lz4", "zstd")):
            assert send(topic, [(b"key-%d" % i, b"%d-%d" % (round_, i)) for i in range(100)],
                        codec) == []
        assert send(topic, [(b"key-0", None)]) == []
        cluster.wait_for(lambda: len(read_from_start(topic)) <= 100, 20, "a compaction")
        # What makes the log dirty again lets the tombstone go, too.
        assert send(topic, [(b"last", b"1")]) == []
        latest[b"last"] = b"1"
        cluster.wait_for(lambda: len(read_from_start(topic)) == len(latest), 20, "another one")
    topic.settle_replicas()
    assert {key: value for _, key, value in read_from_start(topic)} == latest

    [refused] = send(topic, [(None, b"no key")])
    assert refused.code() == KafkaError.INVALID_RECORD


@pytest.mark.cluster(config=OFTEN)
def test_a_topic_shrinks_to_its_retention_size_on_every_replica(cluster):
    topic = Topic(cluster, "small").create(
        {"retention.bytes": str(2 << 20), "segment.bytes": str(1 << 20)})
    assert send(topic, [(None, bytes(10_000))] * 800) == []
    cluster.wait_for(lambda: watermarks(topic)[0] > 300, 20, "segments to be deleted")
    low, high = watermarks(topic)
    assert high == 800
    assert [offset for offset, _, _ in read_from_start(topic)][0] >= low
    cluster.wait_for(lambda: len(log_starts(topic)) == 1, 20, "replicas to begin where others do")


@pytest.mark.cluster(config=OFTEN)
def test_deleted_records_are_gone_from_every_replica_for_good(cluster):
    topic = Topic(cluster, "deleted").create()
    assert send(topic, [(None, b"%d" % i) for i in range(100)]) == []
    leader = cluster.leader(topic)
    other = next(n for n in cluster.nodes.values() if n is not leader)
    assert raw.delete_records(other.endpoint, topic.name, 0, 40)[1] == NOT_LEADER
    assert raw.delete_records(leader.endpoint, topic.name, 0, 101)[1] == OFFSET_OUT_OF_RANGE
    assert raw.delete_records(leader.endpoint, topic.name, 0, 40) == (40, 0)
    assert log_starts(topic) == {40}
    assert watermarks(topic) == (40, 100)
    assert [value for _, _, value in read_from_start(topic)] == [b"%d" % i for i in range(40, 100)]
    leader.kill()
    leader.restart()
    topic.settle_replicas()
    assert log_starts(topic) == {40}
    leader = cluster.leader(topic)
    assert raw.delete_records(leader.endpoint, topic.name, 0, -1) == (100, 0)
    assert watermarks(topic) == (100, 100)
    assert send(topic, [(None, b"next")]) == []
    assert read_from_start(topic) == [(100, None, b"next")]
