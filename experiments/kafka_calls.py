"""Kafka requests by hand, many at a time: what a client library would delay, retry or hide is part
of what is measured here.

`Probe` asks for something at fixed times, whatever became of the requests before, and notes when
each was answered.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic_ns
from types import TracebackType

from harness.raw import request, string

METADATA, CREATE_TOPICS, DELETE_TOPICS, ELECT_LEADERS = 3, 19, 20, 43
NONE, REQUEST_TIMED_OUT, TOPIC_ALREADY_EXISTS = 0, 7, 36  # Error codes.
INVALID_REPLICATION_FACTOR, NOT_CONTROLLER, ELECTION_NOT_NEEDED = 38, 41, 84
ANSWER_BYTES_MAX = 1 << 28


class CallError(Exception):
    """A request was refused or not answered; the message says which."""


@dataclass(frozen=True)
class Topic:
    name: str
    partitions: int
    replication_factor: int


def encode_creation(topics: Iterable[Topic], timeout_ms: int) -> bytes:
    """CreateTopics v4."""
    items = [string(t.name) + struct.pack(">ihii", t.partitions, t.replication_factor, 0, 0)
             for t in topics]
    return struct.pack(">i", len(items)) + b"".join(items) + struct.pack(">i?", timeout_ms, False)


def encode_deletion(names: Sequence[str], timeout_ms: int) -> bytes:
    """DeleteTopics v3."""
    return (struct.pack(">i", len(names)) + b"".join(map(string, names))
            + struct.pack(">i", timeout_ms))


def creation_errors(answer: bytes) -> dict[str, int]:
    """Topic -> error code. Requires: CreateTopics v2-4, the header included."""
    return _errors(answer, with_words=True)


def deletion_errors(answer: bytes) -> dict[str, int]:
    """Topic -> error code. Requires: DeleteTopics v1-3, the header included."""
    return _errors(answer, with_words=False)


def _errors(answer: bytes, *, with_words: bool) -> dict[str, int]:
    count, at = struct.unpack_from(">i", answer, 8)[0], 12
    errors = {}
    for _ in range(count):
        length = struct.unpack_from(">h", answer, at)[0]
        name = answer[at + 2:at + 2 + length].decode()
        at += 2 + length
        errors[name] = struct.unpack_from(">h", answer, at)[0]
        at += 2
        if with_words:
            at += 2 + max(0, struct.unpack_from(">h", answer, at)[0])
    return errors


class Connection:
    """To one broker; one request at a time."""

    def __init__(self, endpoint: str) -> None:
        self._host, _, self._port = endpoint.rpartition(":")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, api_key: int, version: int, body: bytes, timeout: float) -> bytes:
        """The answer with its header. Errors: OSError, TimeoutError, ConnectionError; the
        connection is of no use then."""
        async with asyncio.timeout(timeout):
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, int(self._port))
            reader, writer = self._streams
            writer.write(request(api_key, version, body))
            try:
                length = struct.unpack(">i", await reader.readexactly(4))[0]
                if length > ANSWER_BYTES_MAX:
                    raise ConnectionError(f"an answer of {length} bytes")
                return await reader.readexactly(length)
            except asyncio.IncompleteReadError as error:
                raise ConnectionError("the broker closed the connection") from error

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def call(endpoint: str, api_key: int, version: int, body: bytes, timeout: float) -> bytes:
    """One request on a connection of its own. Errors: CallError."""
    async def once() -> bytes:
        connection = Connection(endpoint)
        try:
            return await connection.call(api_key, version, body, timeout)
        finally:
            connection.close()

    try:
        return asyncio.run(once())
    except (OSError, TimeoutError) as error:
        raise CallError(f"{endpoint}: request {api_key}: {error!r}") from error


def create(endpoint: str, topics: Sequence[Topic], timeout: float) -> None:
    """Returns when all are made. Errors: CallError, naming the first that is not."""
    check(try_create(endpoint, topics, timeout))


def try_create(endpoint: str, topics: Sequence[Topic], timeout: float) -> dict[str, int]:
    """The error code of each. Errors: CallError, without a whole answer."""
    body = encode_creation(topics, int(timeout * 1000))
    answer = call(endpoint, CREATE_TOPICS, 4, body, timeout + 5)
    return _of_all(creation_errors(answer), len(topics))


def delete(endpoint: str, names: Sequence[str], timeout: float) -> None:
    """Returns when all are gone. Errors: CallError, naming the first that is not."""
    body = encode_deletion(names, int(timeout * 1000))
    answer = call(endpoint, DELETE_TOPICS, 3, body, timeout + 5)
    check(_of_all(deletion_errors(answer), len(names)))


def elect_preferred(endpoint: str, timeout: float) -> int:
    """Makes the first replica of every partition its leader; the error code of the answer."""
    body = struct.pack(">bii", 0, -1, int(timeout * 1000))
    answer = call(endpoint, ELECT_LEADERS, 1, body, timeout + 5)
    return struct.unpack_from(">h", answer, 8)[0]


@dataclass(frozen=True)
class Leader:
    """Of a partition, as a broker tells its clients. `id` is -1 when there is none."""

    id: int
    isr: tuple[int, ...]


def leaders(endpoint: str, topic: str, timeout: float = 5.0) -> dict[int, Leader]:
    """Partition -> leader, as that broker has it. Errors: CallError."""
    body = struct.pack(">i", 1) + string(topic) + struct.pack(">?", False)
    answer = call(endpoint, METADATA, 4, body, timeout)
    return parse_leaders(answer)


def parse_leaders(answer: bytes) -> dict[int, Leader]:
    """Of the first topic of a Metadata response v3-4, the header included."""
    fields = _Fields(answer, 8)
    for _ in range(fields.int32()):
        fields.int32()
        fields.text()
        fields.int32()
        fields.text()
    fields.text()
    fields.int32()
    if fields.int32() < 1:
        raise CallError("the answer has no topic")
    error = fields.int16()
    name = fields.text()
    fields.at += 1
    if error != NONE:
        raise CallError(f"topic {name}: error {error}")
    found = {}
    for _ in range(fields.int32()):
        fields.int16()
        partition, leader = fields.int32(), fields.int32()
        fields.int32s()
        found[partition] = Leader(leader, fields.int32s())
    return found


class _Fields:
    """The fields of an answer, one after the other."""

    def __init__(self, answer: bytes, at: int) -> None:
        self._answer = answer
        self.at = at

    def int16(self) -> int:
        self.at += 2
        return struct.unpack_from(">h", self._answer, self.at - 2)[0]

    def int32(self) -> int:
        self.at += 4
        return struct.unpack_from(">i", self._answer, self.at - 4)[0]

    def int32s(self) -> tuple[int, ...]:
        return tuple(self.int32() for _ in range(self.int32()))

    def text(self) -> str:
        length = max(0, self.int16())
        self.at += length
        return self._answer[self.at - length:self.at].decode()


def check(errors: Mapping[str, int]) -> None:
    """Errors: CallError, naming the first topic with an error code."""
    for name, code in errors.items():
        if code != NONE:
            raise CallError(f"topic {name}: error {code}")


def _of_all(errors: dict[str, int], wanted: int) -> dict[str, int]:
    if len(errors) != wanted:
        raise CallError(f"{wanted} topics were asked for, {len(errors)} answered")
    return errors


@dataclass
class Asked:
    """A request of a probe. Times are monotonic ns."""

    sent_ns: int
    endpoint: str
    answered_ns: int = -1
    """-1: never."""
    error: str = "unanswered"
    """Empty: acknowledged."""


class Probe:
    """Creates a small topic every `interval` seconds, at the brokers in turn. Leaving the block
    stops it.

    Each request has a connection to itself, so that one that hangs holds up no other. Its answer
    is waited for no longer than `patience` seconds.
    """

    def __init__(self, endpoints: Sequence[str], prefix: str, *, interval: float = 0.02,
                 patience: float = 1.0) -> None:
        self.asked: list[Asked] = []
        self._endpoints = list(endpoints)
        self._prefix = prefix
        self._interval = interval
        self._patience = patience
        self._idle: dict[str, list[Connection]] = {e: [] for e in self._endpoints}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def asked_ns(self) -> list[tuple[int, int]]:
        """When the requests that were acknowledged were sent, and when answered."""
        return [(a.sent_ns, a.answered_ns) for a in list(self.asked) if not a.error]

    def lines(self, fault_ns: int) -> list[tuple[int, int, str]]:
        """Of requests from half a second before the fault on: when sent, when answered, and the
        error. Requires: it has stopped."""
        return [(a.sent_ns, a.answered_ns, a.error) for a in self.asked
                if a.sent_ns > fault_ns - 500_000_000]

    def acks_ns(self) -> list[int]:
        """When requests were acknowledged, in order."""
        return sorted(a.answered_ns for a in list(self.asked) if not a.error)

    async def _run(self) -> None:
        tasks = []
        at = asyncio.get_running_loop().time()
        for number, endpoint in zip(itertools.count(), itertools.cycle(self._endpoints)):
            if self._stop.is_set():
                break
            tasks.append(asyncio.create_task(self._ask(number, endpoint)))
            at += self._interval
            await asyncio.sleep(max(0.0, at - asyncio.get_running_loop().time()))
        await asyncio.gather(*tasks)
        for connection in itertools.chain(*self._idle.values()):
            connection.close()

    async def _ask(self, number: int, endpoint: str) -> None:
        idle = self._idle[endpoint]
        connection = idle.pop() if idle else Connection(endpoint)
        asked = Asked(monotonic_ns(), endpoint)
        self.asked.append(asked)
        topic = Topic(f"{self._prefix}{number}", 1, 1)
        body = encode_creation([topic], int(self._patience * 1000))
        try:
            answer = await connection.call(CREATE_TOPICS, 4, body, self._patience + 0.5)
            asked.answered_ns = monotonic_ns()
            code = creation_errors(answer).get(topic.name, -1)
            asked.error = "" if code == NONE else f"error {code}"
            idle.append(connection)
        except (OSError, TimeoutError, ConnectionError) as error:
            asked.error = type(error).__name__
            connection.close()
