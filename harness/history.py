"""What clients and faults did, in Jepsen's vocabulary, as a file of one JSON object per line.

    {"index": 7, "time": 81236, "type": "invoke", "process": 0, "f": "send",
     "value": {"topic": "t", "partition": 0, "id": "0.3"}, "error": null}

`index` counts from 0 without gaps. `time` is CLOCK_MONOTONIC in ns, the clock of the nodes' traces.
`type`: invoke, then ok (it happened), fail (it certainly did not and never will) or info (nobody
knows). `process` is a client's number or "nemesis". A client may have several operations
outstanding; `value["id"]` tells them apart. The operations of a workload:

| f    | invoke                        | ok                                    |
| send | topic, partition or null, id  | topic, partition, id, offset or null  |

`id` is unique in the history and is found again in the record that was written. A fault's invoke
precedes the fault, its info follows it; its end is the same pair with f "restart" or "resume".
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

INVOKE, OK, FAIL, INFO = "invoke", "ok", "fail", "info"
TYPES = (INVOKE, OK, FAIL, INFO)
NEMESIS = "nemesis"


class Op(NamedTuple):
    """One line of a history."""

    index: int
    time: int
    type: str
    process: int | str
    f: str
    value: Any = None
    error: str | None = None


class Send(NamedTuple):
    """One record's fate. `outcome` is ok, fail or info (also when the completion is missing).

    `partition` is the one that answered, else the one asked for; it and `offset` are None when
    unknown.
    """

    process: int | str
    topic: str
    partition: int | None
    id: Hashable
    outcome: str
    offset: int | None


class HistoryError(Exception):
    """A history that contradicts itself or cannot be read; names the line or the operation."""


class History:
    """An append-only history, in memory and, with a path, in a file as well.

    Thread: `append` from any thread.
    Durability: a line is handed to the operating system before `append` returns, so a crash of this
    process loses none and tears at most the last.
    Errors: HistoryError from the constructor when the file exists and is damaged before its last
    line.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.torn: str | None = None  # What was dropped at the end of the file, in words.
        self._ops: list[Op] = []
        self._lock = threading.Lock()
        self._fd = -1
        self._sends: tuple[int, list[Send]] = (0, [])
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                self._ops, self.torn, good_bytes = _read(path)
                os.truncate(path, good_bytes)
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    @classmethod
    def load(cls, path: Path) -> History:
        """Reads a history and leaves the file as it is. `torn` says whether a last line was
        ignored.

        Errors: FileNotFoundError; HistoryError that names the damaged line.
        """
        history = cls()
        history._ops, history.torn, _ = _read(path)
        return history

    def append(self, type_: str, process: int | str, f: str, value: Any = None,
               error: str | None = None) -> Op:
        """Records that something happened now. Requires: `value` is what JSON can carry."""
        with self._lock:
            op = Op(len(self._ops), time.monotonic_ns(), type_, process, f, value, error)
            self._ops.append(op)
            if self._fd >= 0:
                line = json.dumps(op._asdict(), separators=(",", ":")) + "\n"
                os.write(self._fd, line.encode())
            return op

    def close(self) -> None:
        """Closes the file; the history can still be read."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __len__(self) -> int:
        return len(self._ops)

    def __iter__(self) -> Iterator[Op]:
        return iter(self._ops[:])

    def __add__(self, other: History) -> History:
        """Both histories as one, in the order of time, with new indexes, in memory."""
        merged = History()
        ops = sorted([*self._ops, *other._ops], key=lambda op: (op.time, op.index))
        merged._ops = [op._replace(index=i) for i, op in enumerate(ops)]
        return merged

    def pairs(self) -> list[tuple[Op, Op | None]]:
        """Every invoke with its completion (None: there is none), in the order of the invokes.

        Errors: HistoryError for a completion without an invoke or an operation invoked twice at
        once.
        """
        return list(pair(self._ops))

    def sends(self) -> list[Send]:
        """The fate of every record, in the order in which they were sent. Errors: as `pairs`."""
        known, sends = self._sends
        if known != len(self._ops):
            known = len(self._ops)
            sends = [_send(invoke, done) for invoke, done in pair(self._ops[:known])
                     if invoke.f == "send"]
            self._sends = (known, sends)
        return sends

    def count(self, type_: str, f: str = "send") -> int:
        """How many operations `f` have a line of this type."""
        return sum(op.type == type_ and op.f == f for op in self._ops)


def pair(ops: Iterable[Op]) -> Iterator[tuple[Op, Op | None]]:
    """As `History.pairs`, for any operations."""
    invokes: list[Op] = []
    completions: dict[int, Op] = {}
    outstanding: dict[Hashable, int] = {}
    for op in ops:
        id_ = op.value.get("id") if isinstance(op.value, dict) else None
        key = (op.process, op.f, id_)
        if op.type == INVOKE:
            if key in outstanding:
                raise HistoryError(f"operation {op.index} {key} is invoked while it is outstanding")
            outstanding[key] = op.index
            invokes.append(op)
        else:
            invoke_index = outstanding.pop(key, None)
            if invoke_index is None:
                raise HistoryError(f"operation {op.index} {key} completes but was not invoked")
            completions[invoke_index] = op
    for invoke in invokes:
        yield invoke, completions.get(invoke.index)


def _send(invoke: Op, done: Op | None) -> Send:
    value = invoke.value
    if done is None or done.type != OK:
        return Send(invoke.process, value["topic"], value.get("partition"), value["id"],
                    INFO if done is None else done.type, None)
    partition = done.value.get("partition")
    return Send(invoke.process, value["topic"],
                value.get("partition") if partition is None else partition,
                value["id"], OK, done.value.get("offset"))


def _read(path: Path) -> tuple[list[Op], str | None, int]:
    """The operations, what was torn off in words, and the length of the good part in bytes."""
    ops: list[Op] = []
    good_bytes = 0
    with open(path, "rb") as f:
        for number, line in enumerate(f, 1):
            if not line.endswith(b"\n"):
                torn = f"{path}:{number}: ignored a torn last line of {len(line)} bytes"
                return ops, torn, good_bytes
            ops.append(_parse(path, number, line, len(ops)))
            good_bytes += len(line)
    return ops, None, good_bytes


def _parse(path: Path, number: int, line: bytes, index: int) -> Op:
    try:
        op = Op(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise HistoryError(f"{path}:{number}: not an operation ({error})") from error
    if op.type not in TYPES:
        raise HistoryError(f"{path}:{number}: type is {op.type!r}; allowed: {', '.join(TYPES)}")
    if op.index != index:
        raise HistoryError(f"{path}:{number}: index is {op.index}, not {index}")
    return op
