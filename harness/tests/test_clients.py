"""Unmodified clients create topics, produce with every codec, and read back what they wrote."""

from __future__ import annotations

import uuid

import pytest

from harness.cluster import LocalCluster
from harness.tests.clients import ALL, PARTITIONS, ConfluentKafka, Record, murmur2

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")

TEXT = [Record(f"key-{i}".encode(), f"value {i}".encode() * 3, (("trace", b"7"), ("lang", b"en")))
        for i in range(20)] + [
        Record(None, f"no key {i}".encode(), (("trace", b"8"),)) for i in range(10)]
BYTES = [*TEXT, Record(b"empty", b""), Record(b"tombstone", None),
         Record(bytes(range(256)), b"binary key"), Record(b"big", b"quorum" * 5_000),
         Record(b"binary", bytes(range(256)) * 4, (("bytes", bytes(range(256))), ("empty", b"")))]


@pytest.fixture(scope="module")
def shared(module_directory, engine, request):
    """One cluster for all clients; kcat's topics are created by being written to."""
    config = {"auto.create.topics.enable": "true", "num.partitions": str(PARTITIONS),
              "default.replication.factor": "3"}
    with LocalCluster(module_directory / "cluster", engine=engine, config=config,
                      binary=request.config.option.node_binary) as cluster:
        yield cluster


@pytest.mark.parametrize("text, expected", [
    (b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536),
    (b"a-little-bit-longer-string", -1486304829), (b"abc", 479470107)])
def test_the_tests_murmur2_is_kafkas(text, expected):
    assert murmur2(text) == expected & 0xFFFFFFFF


@pytest.mark.cluster
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("client", ALL, ids=lambda client: client.name)
def test_a_client_reads_back_what_it_wrote_and_keys_land_where_murmur2_puts_them(
        shared, client, codec):
    for reason in (client.unavailable(), client.cannot_compress(codec)):
        if reason is not None:
            pytest.skip(reason)
    topic = f"{client.name}-{codec}-{uuid.uuid4().hex[:6]}"
    records = TEXT if client.text_only else BYTES
    client.create(shared.bootstrap, topic)
    client.produce(shared.bootstrap, topic, records, codec)
    read = client.consume(shared.bootstrap, topic, len(records))
    assert sorted(map(repr, (r for _, r in read))) == sorted(map(repr, records))
    for partition, record in read:
        if record.key is not None:
            assert partition == (murmur2(record.key) & 0x7FFFFFFF) % PARTITIONS, record.key
    if not isinstance(client, ConfluentKafka):  # What one client wrote another reads.
        other = ConfluentKafka().consume(shared.bootstrap, topic, len(records))
        assert sorted(map(repr, other)) == sorted(map(repr, read))


@pytest.mark.cluster
@pytest.mark.parametrize("client", [c for c in ALL if c.name.startswith(("confluent", "kafka-p"))],
                         ids=lambda client: client.name)
def test_headers_without_a_value_and_with_the_same_name_come_back_in_order(shared, client):
    topic = f"{client.name}-headers-{uuid.uuid4().hex[:6]}"
    nothing = b"" if client.header_values_required else None
    record = Record(b"k", b"v", (("b", b"1"), ("a", nothing), ("b", b"2"), ("a", b"")))
    client.create(shared.bootstrap, topic)
    client.produce(shared.bootstrap, topic, [record], "none")
    assert [r for _, r in client.consume(shared.bootstrap, topic, 1)] == [record]
