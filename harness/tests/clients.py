"""Unmodified Kafka clients behind one small interface: create a topic, produce, consume.

A client that is not installed, or cannot do a codec, says so with a reason.
"""

from __future__ import annotations

import base64
import functools
import importlib.util
import json
import shutil
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, NamedTuple

from harness.control import REPOSITORY

PARTITIONS = 3
TIMEOUT = 60.0  # Seconds, for everything that a client does at once.


class Record(NamedTuple):
    """What a client writes and reads. `headers` keep their order and may repeat a name."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2 of a key, unsigned."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    if len(data) > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


class Client(ABC):
    """One client library or tool."""

    name: str
    text_only = False  # Keys, values and headers are lines of text; one set of headers for all.
    header_values_required = False  # Refuses a header whose value is null, before it sends.

    def unavailable(self) -> str | None:
        """Why this client cannot be used here, or None."""
        return None

    def cannot_compress(self, codec: str) -> str | None:
        """Why this client cannot use the codec, or None."""
        return None

    @abstractmethod
    def create(self, bootstrap: str, topic: str) -> None:
        """Creates a topic of PARTITIONS partitions with three replicas each."""

    @abstractmethod
    def produce(self, bootstrap: str, topic: str, records: list[Record], codec: str) -> None:
        """Writes the records with acks=all; keyed ones go where murmur2 puts them."""

    @abstractmethod
    def consume(self, bootstrap: str, topic: str, count: int) -> list[tuple[int, Record]]:
        """Reads up to `count` records of all partitions: (partition, record)."""


class Kcat(Client):
    """kcat has no admin commands: its topics are created by being written to."""

    name = "kcat"
    text_only = True

    def unavailable(self) -> str | None:
        return None if shutil.which("kcat") else "kcat is not installed"

    def create(self, bootstrap: str, topic: str) -> None:
        """Writing creates it: the broker's auto.create.topics.enable must be true."""

    def produce(self, bootstrap: str, topic: str, records: list[Record], codec: str) -> None:
        for keyed in (True, False):
            some = [r for r in records if (r.key is not None) == keyed]
            lines = [b"\t".join(p for p in (r.key, r.value) if p is not None) for r in some]
            headers = [w for k, v in some[0].headers for w in ("-H", f"{k}={v.decode()}")]
            self._run(bootstrap, "-P", "-t", topic, "-z", codec, "-X", "acks=all",
                      "-X", "partitioner=murmur2_random", *(["-K", "\t"] if keyed else []),
                      *headers, stdin=b"\n".join(lines) + b"\n")

    def consume(self, bootstrap: str, topic: str, count: int) -> list[tuple[int, Record]]:
        out = self._run(bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J")
        found = []
        for line in out.splitlines():
            m = json.loads(line)
            flat = m.get("headers", [])
            headers = tuple((k, v.encode()) for k, v in zip(flat[::2], flat[1::2]))
            key = None if m["key"] is None else m["key"].encode()
            found.append((m["partition"], Record(key, m["payload"].encode(), headers)))
        return found

    def _run(self, bootstrap: str, *words: str, stdin: bytes | None = None) -> bytes:
        done = subprocess.run(["kcat", "-b", bootstrap, *words], input=stdin, capture_output=True,
                              timeout=TIMEOUT, check=False)
        assert done.returncode == 0, f"kcat {words}: {done.stderr.decode()}"
        return done.stdout


class ConfluentKafka(Client):
    """python3-confluent-kafka, and so librdkafka."""

    name = "confluent-kafka"

    def create(self, bootstrap: str, topic: str) -> None:
        from confluent_kafka.admin import AdminClient, NewTopic
        new = NewTopic(topic, num_partitions=PARTITIONS, replication_factor=3)
        # Kept in a variable: a handle that goes away takes its calls with it.
        admin = AdminClient({"bootstrap.servers": bootstrap})
        admin.create_topics([new])[topic].result(TIMEOUT)

    def produce(self, bootstrap: str, topic: str, records: list[Record], codec: str) -> None:
        from confluent_kafka import Producer
        errors: list[Any] = []
        producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec,
                             "acks": "all", "partitioner": "murmur2_random"})
        for r in records:
            producer.produce(topic, r.value, r.key, headers=list(r.headers),
                             on_delivery=lambda error, _: error and errors.append(error))
        assert producer.flush(TIMEOUT) == 0
        assert not errors, errors

    def consume(self, bootstrap: str, topic: str, count: int) -> list[tuple[int, Record]]:
        from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "clients",
                             "enable.auto.commit": False, "check.crcs": True})
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
        found: list[tuple[int, Record]] = []
        while len(found) < count:
            messages = consumer.consume(count - len(found), TIMEOUT / 4)
            if not messages:
                break
            for m in messages:
                assert m.error() is None, m.error()
                record = Record(m.key(), m.value(), tuple(m.headers() or ()))
                found.append((m.partition(), record))
        consumer.close()
        return found


class KafkaPython(Client):
    """python3-kafka; `api_version` None lets it find out the broker's versions by itself."""

    header_values_required = True

    def __init__(self, api_version: tuple[int, ...] | None) -> None:
        self.api_version = api_version
        self.name = "kafka-python-" + ("auto" if api_version is None else
                                       ".".join(map(str, api_version)))

    def cannot_compress(self, codec: str) -> str | None:
        if codec == "zstd" and self.api_version is not None and self.api_version < (2, 1):
            return "kafka-python compresses with zstd only at api_version (2,1) and later"
        module = {"snappy": "snappy", "lz4": "lz4", "zstd": "zstandard"}.get(codec)
        if module is not None and importlib.util.find_spec(module) is None:
            return f"kafka-python needs the module {module} for {codec}: python3-{module}"
        return None

    def create(self, bootstrap: str, topic: str) -> None:
        from kafka.admin import KafkaAdminClient, NewTopic
        admin = KafkaAdminClient(**self._common(bootstrap))
        admin.create_topics([NewTopic(topic, PARTITIONS, 3)], timeout_ms=int(TIMEOUT * 1000))
        admin.close()

    def produce(self, bootstrap: str, topic: str, records: list[Record], codec: str) -> None:
        from kafka import KafkaProducer
        # By itself it does not retry, not even when a broker has not yet heard that it leads a
        # partition of the new topic.
        producer = KafkaProducer(**self._common(bootstrap), acks="all", retries=5,
                                 compression_type=None if codec == "none" else codec)
        futures = [producer.send(topic, r.value, r.key, list(r.headers)) for r in records]
        for future in futures:
            future.get(TIMEOUT)
        producer.close()

    def consume(self, bootstrap: str, topic: str, count: int) -> list[tuple[int, Record]]:
        from kafka import KafkaConsumer, TopicPartition
        consumer = KafkaConsumer(**self._common(bootstrap), enable_auto_commit=False,
                                 auto_offset_reset="earliest", check_crcs=True,
                                 consumer_timeout_ms=int(TIMEOUT * 250))
        consumer.assign([TopicPartition(topic, p) for p in range(PARTITIONS)])
        consumer.seek_to_beginning()
        found: list[tuple[int, Record]] = []
        for m in consumer:
            found.append((m.partition, Record(m.key, m.value, tuple(m.headers))))
            if len(found) == count:
                break
        consumer.close()
        return found

    def _common(self, bootstrap: str) -> dict[str, Any]:
        return {"bootstrap_servers": bootstrap.split(","), "api_version": self.api_version}


class KafkaJs(Client):
    """kafkajs from npm; its consumer wants a group, so consuming is its own low-level fetch."""

    name = "kafkajs"
    PACKAGES = ("kafkajs@2.2.4", "kafkajs-snappy@1.1.0")
    DIRECTORY = REPOSITORY / ".qlab" / "npm"
    PROGRAM = Path(__file__).with_name("kafkajs_client.js")

    def unavailable(self) -> str | None:
        return _install_npm(self.DIRECTORY, self.PACKAGES)

    def cannot_compress(self, codec: str) -> str | None:
        if codec in ("lz4", "zstd") and shutil.which(codec) is None:
            return f"kafkajs takes {codec} from outside, and the program {codec} is not installed"
        return None

    def create(self, bootstrap: str, topic: str) -> None:
        self._run("create", bootstrap, topic)

    def produce(self, bootstrap: str, topic: str, records: list[Record], codec: str) -> None:
        rows = [{"key": _encode(r.key), "value": _encode(r.value),
                 "headers": {k: _encode(v) for k, v in r.headers}} for r in records]
        self._run("produce", bootstrap, topic, codec=codec, records=rows)

    def consume(self, bootstrap: str, topic: str, count: int) -> list[tuple[int, Record]]:
        rows = self._run("consume", bootstrap, topic, count=count)
        return [(m["partition"], Record(_decode(m["key"]), _decode(m["value"]),
                                        tuple((k, _decode(v)) for k, v in m["headers"])))
                for m in rows]

    def _run(self, command: str, bootstrap: str, topic: str, **more: Any) -> Any:
        order = {"command": command, "brokers": bootstrap.split(","), "topic": topic,
                 "partitions": PARTITIONS, **more}
        done = subprocess.run(["node", str(self.PROGRAM)], input=json.dumps(order), text=True,
                              cwd=self.DIRECTORY, capture_output=True, timeout=TIMEOUT, check=False)
        assert done.returncode == 0, f"kafkajs {command}: {done.stdout}{done.stderr[-4000:]}"
        return json.loads(done.stdout.splitlines()[-1])


def _encode(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _decode(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


@functools.cache
def _install_npm(directory: Path, packages: tuple[str, ...]) -> str | None:
    """Installs the packages once; the reason when that is not possible."""
    if all((directory / "node_modules" / p.partition("@")[0]).is_dir() for p in packages):
        return None
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "npm and node are not installed"
    directory.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts",
                               "--prefix", str(directory), *packages],
                              cwd=directory, capture_output=True, text=True, timeout=120,
                              check=False)
    except subprocess.TimeoutExpired:
        return "npm install kafkajs did not end within 120 s"
    if done.returncode == 0:
        return None
    words = [line for line in done.stderr.splitlines() if "error" in line]
    return f"npm install kafkajs fails: {words[0] if words else done.stderr[-200:]}"


ALL: tuple[Client, ...] = (
    Kcat(), ConfluentKafka(), KafkaPython(None), KafkaPython((2, 0, 0)), KafkaJs())
