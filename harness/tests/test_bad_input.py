"""Bad input: the error names the thing, the node goes on or stops cleanly, no record is harmed."""

from __future__ import annotations

import base64
import socket
import struct

import pytest
from confluent_kafka import KafkaError

from harness import checkers, faults, raw
from harness.cluster import ClusterError, LocalCluster, Node
from harness.history import FAIL
from harness.host import wait_dead
from harness.waiting import wait_for
from harness.workload import Topic

ONE = pytest.mark.cluster(brokers=1)
CONFIGURATION_ERROR = 2
FATAL_ERROR = 3


@pytest.fixture
def written(cluster, topic, history):
    """The history of 200 acknowledged records, which every bad input must leave as they are."""
    topic.produce(200, history=history)
    assert history.count("ok") == 200
    return history


def assert_unharmed(topic: Topic, history) -> None:
    """The node still serves, and all is there after a restart."""
    for node in topic.cluster.nodes.values():
        raw.api_versions(node.endpoint)
        node.restart()
    checkers.require(history, topic.read_all())


def fails_to_start(node: Node) -> tuple[int | None, str]:
    """Exit status and words of a node that must not start."""
    node.start(wait=False)
    assert wait_dead(node.host, node.process, 20), f"still alive; {node.stderr_tail()}"
    assert not node.ready
    return node.exit_status, node.stderr_tail()


def words_after(node: Node, data: bytes) -> tuple[bytes | None, str]:
    """The node's answer to the bytes (None: it closed) and what it wrote to stderr about them."""
    stderr = node.directory / "stderr"
    before = stderr.stat().st_size
    with raw.Connection(node.endpoint) as connection:
        connection.send(data)
        answer = connection.receive()
    if answer is None:
        wait_for(lambda: stderr.stat().st_size > before, 5, "a word about the closed connection")
    return answer, node.host.tail(stderr, offset=before)


@ONE
@pytest.mark.parametrize("data", [
    pytest.param(struct.pack(">i", -1), id="negative length"),
    pytest.param(raw.frame(b"abc"), id="shorter than a header"),
    pytest.param(raw.frame(struct.pack(">hhih", 18, 0, 1, 500)), id="client id beyond the end"),
    pytest.param(raw.request(raw.PRODUCE, 3, bytes.fromhex("ffffffff0000")), id="cut body"),
    pytest.param(raw.request(raw.METADATA, 1, struct.pack(">i", 1 << 30)), id="absurd array"),
])
def test_a_malformed_frame_closes_the_connection_and_is_logged(cluster, topic, written, data):
    answer, words = words_after(cluster.nodes[1], data)
    assert answer is None
    assert "127.0.0.1" in words, f"the log does not name the client: {words}"
    assert_unharmed(topic, written)


@ONE
def test_an_unknown_api_closes_the_connection_and_is_named(cluster, topic, written):
    answer, words = words_after(cluster.nodes[1], raw.request(9999, 0))
    assert answer is None and "9999" in words
    assert_unharmed(topic, written)


@ONE
def test_an_unknown_version_is_named_and_of_api_versions_answered_with_the_known_ones(
        cluster, topic, written):
    answer, words = words_after(cluster.nodes[1], raw.request(raw.PRODUCE, 99))
    assert answer is None and "99" in words
    answer, _ = words_after(cluster.nodes[1], raw.request(raw.API_VERSIONS, 99))
    error, versions = raw.parse_api_versions(answer)
    assert error == raw.UNSUPPORTED_VERSION
    assert versions[raw.API_VERSIONS][1] < 99
    assert_unharmed(topic, written)


@ONE
def test_an_oversized_request_closes_the_connection_before_its_body_is_read(
        cluster, topic, written):
    answer, words = words_after(cluster.nodes[1], struct.pack(">i", 104_857_601))
    assert answer is None and "104857601" in words
    assert_unharmed(topic, written)


@ONE
def test_an_oversized_batch_is_refused_as_too_large(cluster, topic, written):
    producer = topic.producer(written, acks="1", size=2_000_000,
                              config={"message.max.bytes": 10_000_000})
    producer.send()
    producer.finish()
    assert producer.last_error.code() == KafkaError.MSG_SIZE_TOO_LARGE
    assert written.count(FAIL) == 1
    assert_unharmed(topic, written)


def another_cluster_id() -> str:
    return base64.urlsafe_b64encode(bytes(range(16))).decode().rstrip("=")


@pytest.mark.cluster(brokers=2)
def test_a_peer_of_another_cluster_is_refused_by_name_and_the_cluster_goes_on(
        cluster, topic, written, tmp_path):
    stranger = cluster.nodes[2]
    stranger.stop()
    stranger.config.update({"cluster.id": another_cluster_id(), "log.dir": str(tmp_path / "data")})
    stranger.start(wait=False)
    cluster.wait_for(lambda: another_cluster_id() in stranger.stderr_tail()
                     or another_cluster_id() in cluster.nodes[1].stderr_tail(), 20,
                     "the wrong cluster id to be named")
    assert not stranger.ready
    stranger.kill()
    stranger.config.update({"cluster.id": cluster.cluster_id,
                            "log.dir": str(stranger.directory / "data")})
    stranger.start()
    assert_unharmed(topic, written)


@ONE
@pytest.mark.parametrize("key, value, allowed", [
    ("log.segment.byte", "1048576", "log.segment.byte"),
    ("num.shards", "0", "64"),
    ("num.shards", "many", "64"),
    ("durability", "sometimes", "group"),
    ("engine", "papyrus", "buffered"),
    ("log.segment.bytes", "1", "1073741824"),
    ("listener", "nowhere", "host:port"),
    ("controller.quorum.voters", "1=127.0.0.1", "@"),
    ("cluster.id", "short", "22"),
])
def test_a_bad_configuration_is_named_with_what_is_allowed(new_cluster, key, value, allowed):
    node = new_cluster(brokers=1, config={key: value}).nodes[1]
    status, words = fails_to_start(node)
    assert status == CONFIGURATION_ERROR
    assert key in words and value in words and allowed in words, words
    assert len(words.splitlines()) == 1, f"more than one line: {words}"
    assert not node.data.exists() or not any(node.data.iterdir()), "a refused node left data"


@pytest.mark.cluster(brokers=2)
def test_a_data_directory_of_another_node_is_refused_by_name(cluster, topic, written):
    first, second = cluster.nodes[1], cluster.nodes[2]
    cluster.stop()
    own = second.config["log.dir"]
    second.config["log.dir"] = first.config["log.dir"]
    status, words = fails_to_start(second)
    assert status == CONFIGURATION_ERROR
    assert str(first.data) in words and "node.id" in words
    second.config["log.dir"] = own
    cluster.start()
    assert_unharmed(topic, written)


@ONE
def test_a_data_directory_of_another_cluster_is_refused_by_name(cluster, topic, written):
    node = cluster.nodes[1]
    node.stop()
    node.config["cluster.id"] = another_cluster_id()
    status, words = fails_to_start(node)
    assert status == CONFIGURATION_ERROR
    assert "cluster.id" in words and another_cluster_id() in words and str(node.data) in words
    node.config["cluster.id"] = cluster.cluster_id
    node.start()
    assert_unharmed(topic, written)


@ONE
def test_a_data_directory_in_use_is_refused_by_name(cluster, topic, written, run_directory):
    original = cluster.nodes[1]
    ports = cluster.host.free_ports(2)
    peer = f"127.0.0.1:{ports[1]}"
    config = {**original.config, "listener": f"127.0.0.1:{ports[0]}", "peer.listener": peer,
              "controller.quorum.voters": f"1@{peer}"}
    second = Node(cluster.host, 1, run_directory / "second", original.binary, config)
    status, words = fails_to_start(second)
    assert status == CONFIGURATION_ERROR and str(original.data) in words
    assert_unharmed(topic, written)


@ONE
@pytest.mark.parametrize("key", ["listener", "peer.listener"])
def test_a_busy_port_is_named_after_a_second(cluster, topic, written, key):
    node = cluster.nodes[1]
    node.stop()
    host, _, port = node.config[key].rpartition(":")
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((host, int(port)))
        s.listen()
        status, words = fails_to_start(node)
    assert status == CONFIGURATION_ERROR
    assert port in words and key in words, words
    node.start()
    assert_unharmed(topic, written)


@pytest.mark.both_engines
@pytest.mark.cluster
def test_a_full_disk_stops_writing_cleanly_and_loses_nothing(
        new_cluster, engine, history, run_directory):
    with faults.small_disk(run_directory / "disk", 48 << 20) as disk:
        cluster = new_cluster(brokers=1, engine=engine, config={
            "log.dir": str(disk.path / "data"), "log.segment.bytes": str(8 << 20)})
        try:
            fill(cluster, history)
            node = cluster.nodes[1]
            words = node.host.tail(node.directory / "stderr")
            assert "space" in words and str(disk.path) in words, words
            if not node.alive:
                assert node.exit_status == FATAL_ERROR
            node.kill()
            disk.resize(256 << 20)
            node.start()
            topic = Topic(cluster, "topic")
            topic.produce(100, history=history)
            checkers.require(history, topic.read_all())
        finally:
            cluster.kill()


def fill(cluster: LocalCluster, history) -> None:
    """Writes until the node has ended or answers with errors only."""
    cluster.start()
    topic = Topic(cluster, "topic").create()
    producer = topic.producer(history, size=50_000, acks="1", timeout=5)
    for _ in range(3_000):
        acked = producer.acked
        for _ in range(20):
            producer.send()
        producer.finish(10)
        if producer.acked == acked:
            return
    raise ClusterError("3 GB of records fit on a disk of 48 MiB")
