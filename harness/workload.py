"""Producers that write down what they did, and reading everything back.

Each record's value begins with its id and "|", so that what is read can be matched with what was
sent.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness.checkers import PartitionRead, ReadBack
from harness.cluster import LocalCluster
from harness.history import FAIL, INFO, INVOKE, OK, History

CLIENT: dict[str, Any] = {
    "socket.timeout.ms": 10_000, "reconnect.backoff.max.ms": 500, "log_level": 2,
    "topic.metadata.refresh.interval.ms": 5_000}
_producers = itertools.count()

# Refused before anything was written, and never sent again by the client.
LOCAL_REFUSALS = frozenset({KafkaError._QUEUE_FULL, KafkaError._UNKNOWN_PARTITION,
                            KafkaError._INVALID_ARG})
# A broker's word that it has not appended. NOT_LEADER_OR_FOLLOWER and
# NOT_ENOUGH_REPLICAS_AFTER_APPEND are not among them: the record may be in the log all the same
# (KAFKA-13574).
BROKER_REFUSALS = frozenset({
    KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.NOT_ENOUGH_REPLICAS, KafkaError.INVALID_MSG,
    KafkaError.INVALID_REQUIRED_ACKS, KafkaError.TOPIC_EXCEPTION, KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER})


def outcome(error: KafkaError | None, *, acks: str, retries: bool) -> str:
    """What a delivery report proves: ok, fail or info.

    A broker's refusal answers the last try only; when there may have been an earlier one, nobody
    knows. With acks=0 there is no answer, so there is no ok either.
    """
    if error is None:
        return INFO if acks == "0" else OK
    if error.code() in LOCAL_REFUSALS:
        return FAIL
    return FAIL if error.code() in BROKER_REFUSALS and not retries else INFO


class RecordingProducer:
    """A Kafka producer with its own process number, all of whose sends go into a history.

    It is idempotent when acks=all; otherwise it does not retry, so that it neither duplicates nor
    reorders by itself. `size` is the length of a value in bytes (at least that of its id).
    """

    def __init__(self, bootstrap: str, topic: str, partitions: int, history: History, *,
                 acks: str = "all", size: int = 100, timeout: float = 30.0,
                 config: Mapping[str, Any] | None = None) -> None:
        self.process = next(_producers)
        self.history = history
        self.sent = 0
        self.acked = 0
        self.served: dict[int, int] = {}  # Partition -> when (time.monotonic_ns()) its latest
        # acknowledged record was sent: an ack alone may be one that a dead node has left behind.
        self.last_error: KafkaError | None = None
        self.fatal_error: KafkaError | None = None  # After it the producer sends nothing any more.
        self.partitions = partitions
        self._topic, self._acks, self._size = topic, acks, size
        safety: dict[str, Any] = (
            {"enable.idempotence": True} if acks == "all" else {"retries": 0})
        self._config = {**CLIENT, "bootstrap.servers": bootstrap, "acks": acks, "linger.ms": 2,
                        "message.timeout.ms": int(timeout * 1000), "error_cb": self._failed,
                        **safety, **(config or {})}
        self._retries = self._config.get("retries") != 0
        self._producer = Producer(self._config)

    def send(self) -> None:
        """Sends one record to the next partition in turn; waits while the queue is full."""
        partition = self.sent % self.partitions
        id_ = f"{self.process}.{self.sent}"
        self.sent += 1
        value = {"topic": self._topic, "partition": partition, "id": id_}
        self.history.append(INVOKE, self.process, "send", value)
        payload = f"{id_}|".encode().ljust(self._size, b".")
        while True:
            try:
                self._producer.produce(self._topic, payload, partition=partition,
                                       on_delivery=self._completed(id_))
                break
            except BufferError:
                self._producer.poll(0.05)
            except KafkaException as error:  # Of a producer with a fatal error.
                self.last_error = error.args[0]
                self.history.append(FAIL, self.process, "send", value, str(error))
                break
        self._producer.poll(0)

    def poll(self, seconds: float) -> None:
        """Takes delivery reports for up to so long."""
        self._producer.poll(seconds)

    def finish(self, timeout: float = 60.0) -> None:
        """Waits up to `timeout` s for what is outstanding; what stays so is info."""
        self._producer.flush(timeout)

    def give_up(self) -> None:
        """Drops what is outstanding; all of it is info, for it may have been sent before."""
        self._producer.purge()
        self.finish(10)

    def _failed(self, error: KafkaError) -> None:
        if error.fatal():
            self.fatal_error = self.fatal_error or error

    def _completed(self, id_: str) -> Callable[[KafkaError | None, Message], None]:
        sent_at = time.monotonic_ns()

        def completed(error: KafkaError | None, message: Message) -> None:
            type_ = outcome(error, acks=self._acks, retries=self._retries)
            partition, offset = message.partition(), message.offset()
            value: dict[str, Any] = {"topic": self._topic, "partition": partition, "id": id_}
            if type_ == OK:
                self.acked += 1
                self.served[partition] = max(sent_at, self.served.get(partition, 0))
                value["offset"] = offset if offset is not None and offset >= 0 else None
            if error is not None:
                self.last_error = error
            words = "acks=0" if error is None and type_ == INFO else error and error.str()
            self.history.append(type_, self.process, "send", value, words)
        return completed


class BackgroundProducer:
    """A RecordingProducer in a thread of its own, at a constant `rate` of records per second, from
    `with` to the end of its block, where it waits for what is outstanding.

    A producer with a fatal error is retired, and `make` gives its successor, as a careful
    application would do it; `fatal_errors` has what ended the retired ones.
    """

    def __init__(self, make: Callable[[], RecordingProducer], rate: float) -> None:
        self.producer = make()
        self.fatal_errors: list[KafkaError] = []
        self._make = make
        self._rate = rate
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"producer-{self.producer.process}")

    @property
    def history(self) -> History:
        return self.producer.history

    def __enter__(self) -> BackgroundProducer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    def _run(self) -> None:
        try:
            start, sent = time.monotonic(), 0
            while not self._stop.is_set():
                if self.producer.fatal_error is not None:
                    self._retire()
                ahead = start + sent / self._rate - time.monotonic()
                if ahead > 0:
                    self.producer.poll(min(ahead, 0.01))
                else:
                    self.producer.send()
                    sent += 1
            self.producer.finish()
            if self.producer.fatal_error is not None:
                self.fatal_errors.append(self.producer.fatal_error)
        except BaseException as failure:  # Raised again where the thread is joined.
            self._failure = failure

    def _retire(self) -> None:
        self.producer.give_up()
        assert self.producer.fatal_error is not None
        self.fatal_errors.append(self.producer.fatal_error)
        self.producer = self._make()


class Topic:
    """A topic of a cluster, as the workloads and the tests use it."""

    def __init__(self, cluster: LocalCluster, name: str, *, partitions: int = 1,
                 replication_factor: int | None = None) -> None:
        self.cluster = cluster
        self.name = name
        self.partitions = partitions
        self.replication_factor = replication_factor or min(3, len(cluster.nodes))

    def create(self, config: Mapping[str, str] | None = None, timeout: float = 20.0) -> Topic:
        """Creates it and returns when every partition has a live leader.

        Errors: KafkaException with the broker's error; waiting.WaitTimeout.
        """
        admin = AdminClient({**CLIENT, "bootstrap.servers": self.cluster.bootstrap})
        new = NewTopic(self.name, num_partitions=self.partitions,
                       replication_factor=self.replication_factor, config=dict(config or {}))
        admin.create_topics([new], operation_timeout=timeout)[self.name].result(timeout)
        for partition in range(self.partitions):
            self.cluster.leader(self, partition, timeout)
        return self

    def producer(self, history: History | None = None, **options: Any) -> RecordingProducer:
        """Options: as RecordingProducer."""
        return RecordingProducer(self.cluster.bootstrap, self.name, self.partitions,
                                 History() if history is None else history, **options)

    def produce(self, records: int, *, history: History | None = None, **options: Any) -> History:
        """Sends so many records, waits for them all, and returns the history (the given or a new
        one).

        Options: as RecordingProducer.
        """
        producer = self.producer(history, **options)
        for _ in range(records):
            producer.send()
        producer.finish()
        return producer.history

    def producing(self, rate: float, *, history: History | None = None,
                  **options: Any) -> BackgroundProducer:
        """A context manager that sends in the background. Options: as RecordingProducer."""
        history = History() if history is None else history
        return BackgroundProducer(lambda: self.producer(history, **options), rate)

    def settle(self, timeout: float = 30.0) -> dict[int, int]:
        """Waits until every record is committed; partition -> the offset one past the last record.

        Requires: nobody produces. Errors: waiting.WaitTimeout.
        """
        def ends() -> dict[int, int] | None:
            found: dict[int, int] = {}
            for partition in range(self.partitions):
                leader = self.cluster.leader(self, partition)
                view = leader.status().partition(self.name, partition)
                if view is None or view.leader != leader.id or view.high_watermark != view.log_end:
                    return None
                found[partition] = view.log_end
            return found

        return self.cluster.wait_for(ends, timeout, f"all of {self.name} to be committed")

    def settle_replicas(self, timeout: float = 30.0) -> dict[int, int]:
        """As `settle`, and every replica is in sync and has everything."""
        def equal() -> dict[int, int] | None:
            ends = self.settle()
            views = self.cluster.statuses().values()
            for partition, end in ends.items():
                copies = {s.node_id: p for s in views if (p := s.partition(self.name, partition))}
                whole = [p for p in copies.values() if p.log_end == p.high_watermark == end]
                # Its leader knows the ISR; with the zk controller nobody tells the followers.
                in_sync = max((len(p.isr) for i, p in copies.items() if i == p.leader), default=0)
                if len(whole) != self.replication_factor or in_sync != self.replication_factor:
                    return None
            return ends

        return self.cluster.wait_for(equal, timeout, f"every replica of {self.name} to be whole")

    def read_all(self, timeout: float = 60.0) -> ReadBack:
        """Everything in the topic, once all of it is committed. Requires: nobody produces.

        Errors: waiting.WaitTimeout when it is not committed in time. What could not be read in
        `timeout` s makes the range read incomplete, and so the checkers' verdicts unknown.
        """
        return read_back(self.cluster.bootstrap, self.name, self.settle(), timeout)


def record_id(value: bytes | None) -> str:
    """The id at a value's beginning; for a stranger's record "?" and its first bytes."""
    head, bar, _ = (value or b"").partition(b"|")
    return head.decode() if bar and head.isascii() else "?" + (value or b"")[:16].hex()


def read_back(bootstrap: str, topic: str, ends: Mapping[int, int], timeout: float = 60.0, *,
              decode: Callable[[bytes | None], Any] = record_id) -> ReadBack:
    """Reads the partitions in `ends` from the beginning to those offsets; `decode` finds an id."""
    consumer = Consumer({**CLIENT, "bootstrap.servers": bootstrap, "group.id": "harness",
                         "enable.auto.commit": False, "enable.partition.eof": True,
                         "auto.offset.reset": "error"})
    read = ReadBack()
    try:
        parts: dict[int, PartitionRead] = {}
        for partition, end in ends.items():
            low, _ = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
            parts[partition] = PartitionRead(low, low, end <= low)
            read.partitions[topic, partition] = parts[partition]
        consumer.assign([TopicPartition(topic, p, part.start)
                         for p, part in parts.items() if not part.complete])
        deadline = time.monotonic() + timeout
        while not all(p.complete for p in parts.values()) and time.monotonic() < deadline:
            for message in consumer.consume(10_000, 0.2):
                _take(message, parts[message.partition()], ends[message.partition()], decode)
    finally:
        consumer.close()
    return read


def _take(message: Message, part: PartitionRead, end: int,
          decode: Callable[[bytes | None], Any]) -> None:
    error = message.error()
    if error is None:
        part.offsets.append(message.offset())
        part.ids.append(decode(message.value()))
        part.end = message.offset() + 1
    elif error.code() == KafkaError._PARTITION_EOF:
        part.end = message.offset()
    elif error.code() == KafkaError._AUTO_OFFSET_RESET:
        raise KafkaException(error)
    part.complete = part.complete or part.end >= end  # Other errors pass: the client tries again.
