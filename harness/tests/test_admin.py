"""What administrators do to topics while a cluster runs: by clients, and by hand where none can."""

from __future__ import annotations

import functools
import struct

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from harness import raw
from harness.cluster import LocalCluster
from harness.waiting import wait_for

TIMEOUT = 30.0
QUICK = {"broker.heartbeat.interval.ms": "200", "broker.session.timeout.ms": "2000",
         "replica.lag.time.max.ms": "2000"}

ELECT_LEADERS, ALTER_REASSIGNMENTS, LIST_REASSIGNMENTS = 43, 45, 46
NONE, ELECTION_NOT_NEEDED, INVALID_ASSIGNMENT, NO_REASSIGNMENT = 0, 84, 39, 85


@functools.lru_cache
def client_of(bootstrap: str) -> AdminClient:
    """One client per cluster: its answers die with it."""
    return AdminClient({"bootstrap.servers": bootstrap})


def admin(cluster: LocalCluster) -> AdminClient:
    return client_of(cluster.bootstrap)


def create(cluster: LocalCluster, name: str, assignment: list[list[int]], **config: str) -> None:
    topic = NewTopic(name, num_partitions=len(assignment), replica_assignment=assignment,
                     config=config)
    admin(cluster).create_topics([topic])[name].result(TIMEOUT)


def partitions(cluster: LocalCluster, name: str):
    """Partition index -> what clients are told of it."""
    return admin(cluster).list_topics(name, timeout=TIMEOUT).topics[name].partitions


def call(endpoint: str, key: int, version: int, body: bytes, *, flexible: bool) -> bytes:
    """The body of an honest answer."""
    if flexible:  # Header v2: the client id stays as it was, no tags follow it.
        head = struct.pack(">hhi", key, version, 1) + raw.string("raw") + b"\0"
        frame = raw.frame(head + body)
    else:
        frame = raw.request(key, version, body)
    with raw.Connection(endpoint, TIMEOUT) as connection:
        connection.send(frame)
        payload = connection.receive()
    assert payload is not None
    return payload[5:] if flexible else payload[4:]


def compact(text: str) -> bytes:
    return bytes([len(text) + 1]) + text.encode()


def elect_leaders(endpoint: str, topic: str, partition: int, kind: int = 0) -> int:
    """The error code of one election (version 1)."""
    body = (struct.pack(">bi", kind, 1) + raw.string(topic) + struct.pack(">ii", 1, partition)
            + struct.pack(">i", 10_000))
    answer = call(endpoint, ELECT_LEADERS, 1, body, flexible=False)
    start = 4 + 2 + 4 + 2 + len(topic) + 4 + 4  # throttle, error, topics, name, results, partition
    return struct.unpack_from(">h", answer, start)[0]


def reassign(endpoint: str, topic: str, partition: int, replicas: list[int] | None) -> int:
    """The error code of one partition's reassignment; None: stop it."""
    if replicas is None:
        listed = b"\0"
    else:
        listed = bytes([len(replicas) + 1]) + b"".join(struct.pack(">i", r) for r in replicas)
    body = (struct.pack(">i", 10_000) + b"\2" + compact(topic) + b"\2"
            + struct.pack(">i", partition) + listed + b"\0\0\0")
    answer = call(endpoint, ALTER_REASSIGNMENTS, 0, body, flexible=True)
    start = 4 + 2 + 1 + 1 + 1 + len(topic) + 1 + 4  # throttle, error, null words, ..., partition
    return struct.unpack_from(">h", answer, start)[0]


def reassigning(endpoint: str) -> int:
    """How many topics have partitions that are being moved."""
    answer = call(endpoint, LIST_REASSIGNMENTS, 0, struct.pack(">i", 10_000) + b"\0\0",
                  flexible=True)
    return answer[4 + 2 + 1] - 1


@pytest.mark.cluster(config=QUICK)
def test_a_topic_grows_by_an_unmodified_client(cluster):
    create(cluster, "orders", [[1, 2]])
    admin(cluster).create_partitions([NewPartitions("orders", 4)])["orders"].result(TIMEOUT)
    # Any broker may be asked, and not all have heard of it at the same time.
    wait_for(lambda: len(partitions(cluster, "orders")) == 4, TIMEOUT, "four partitions")
    with pytest.raises(KafkaException, match="INVALID_PARTITIONS|is not more"):
        admin(cluster).create_partitions([NewPartitions("orders", 2)])["orders"].result(TIMEOUT)


@pytest.mark.cluster(config=QUICK)
def test_configs_are_described_and_altered_by_an_unmodified_client(cluster):
    create(cluster, "orders", [[1, 2, 3]], **{"retention.ms": "7000"})
    topic = ConfigResource(ConfigResource.Type.TOPIC, "orders")

    def value(key: str) -> str:
        found = admin(cluster).describe_configs([topic])[topic].result(TIMEOUT)
        return found[key].value

    assert value("retention.ms") == "7000"
    assert value("min.insync.replicas") == "1"
    wanted = ConfigResource(ConfigResource.Type.TOPIC, "orders",
                            set_config={"min.insync.replicas": "2"})
    admin(cluster).alter_configs([wanted])[wanted].result(TIMEOUT)
    wait_for(lambda: value("min.insync.replicas") == "2", TIMEOUT, "the new config")
    assert value("retention.ms") == "604800000"  # Replaced: what was not named is the default.

    bad = ConfigResource(ConfigResource.Type.TOPIC, "orders", set_config={"retention.ms": "soon"})
    with pytest.raises(KafkaException, match="INVALID_CONFIG|not a number"):
        admin(cluster).alter_configs([bad])[bad].result(TIMEOUT)
    broker = ConfigResource(ConfigResource.Type.BROKER, "1")
    found = admin(cluster).describe_configs([broker])[broker].result(TIMEOUT)
    assert found["broker.session.timeout.ms"].value == "2000"


@pytest.mark.cluster(config=QUICK)
def test_a_preferred_leader_leads_again_when_it_is_elected(cluster):
    create(cluster, "orders", [[1, 2, 3]])
    endpoint = cluster.nodes[2].endpoint
    assert elect_leaders(endpoint, "orders", 0) == ELECTION_NOT_NEEDED
    cluster.nodes[1].stop()
    wait_for(lambda: partitions(cluster, "orders")[0].leader in (2, 3), TIMEOUT, "another leader")
    cluster.nodes[1].start()
    wait_for(lambda: 1 in partitions(cluster, "orders")[0].isrs, TIMEOUT, "node 1 in sync")
    assert elect_leaders(endpoint, "orders", 0) == NONE
    wait_for(lambda: partitions(cluster, "orders")[0].leader == 1, TIMEOUT, "leader 1")


@pytest.mark.cluster(config=QUICK)
def test_a_partition_moves_to_other_brokers(cluster):
    endpoint = cluster.nodes[1].endpoint
    create(cluster, "moving", [[1, 2]])
    assert reassign(endpoint, "moving", 0, [9]) == INVALID_ASSIGNMENT
    assert reassign(endpoint, "moving", 0, None) == NO_REASSIGNMENT
    assert reassign(endpoint, "moving", 0, [3, 2]) == NONE
    wait_for(lambda: sorted(partitions(cluster, "moving")[0].replicas) == [2, 3], TIMEOUT,
             "the replicas")
    assert reassigning(endpoint) == 0
    wait_for(lambda: sorted(partitions(cluster, "moving")[0].isrs) == [2, 3], TIMEOUT, "the ISR")
    assert partitions(cluster, "moving")[0].leader in (2, 3)


@pytest.mark.cluster(config=QUICK)
def test_a_broker_that_is_shut_down_has_handed_over_all_that_others_can_lead(cluster):
    create(cluster, "orders", [[1, 2], [1, 3], [1, 2], [2, 1]])
    assert cluster.nodes[1].stop() == 0
    leaders = {i: p.leader for i, p in partitions(cluster, "orders").items()}
    assert 1 not in leaders.values() and -1 not in leaders.values(), leaders


@pytest.mark.cluster(brokers=1, config=QUICK)
def test_a_topic_of_more_partitions_than_an_entry_holds_appears_whole_and_outlives_a_kill(cluster):
    count = 3000
    topic = NewTopic("large", num_partitions=count, replication_factor=1)
    admin(cluster).create_topics([topic])["large"].result(TIMEOUT)
    assert len(partitions(cluster, "large")) == count
    cluster.nodes[1].kill()
    cluster.nodes[1].start()
    wait_for(lambda: all(p.leader == 1 for p in partitions(cluster, "large").values()), TIMEOUT,
             "leaders of all partitions")


@pytest.mark.timeout(120)
def test_a_status_counts_replicas_without_listing_them(tmp_path):
    with LocalCluster(tmp_path, brokers=3, config=QUICK) as cluster:
        create(cluster, "counted", [[1, 2], [1, 2], [2, 1], [1, 3]])

        def counts() -> dict[int, int]:
            return {i: s.replica_count for i, s in cluster.statuses(partitions=False).items()}

        wait_for(lambda: counts() == {1: 4, 2: 3, 3: 1}, TIMEOUT, "every replica to be open")
        assert cluster.status(1).replica_count == len(cluster.status(1).partitions)
        assert cluster.nodes[1].status(partitions=False).partitions == ()
