"""Was a log kept? Functions from a history and what was read back to a verdict of three values.

A verdict is false when an anomaly was seen, true when every acknowledged record was examined and
none was seen, and unknown otherwise: records beyond the range that was read, or nothing
acknowledged at all.
The definitions follow Jepsen's Kafka workload; the log here is read back whole
and once, after the run.
Cost: one pass over the history and the log each; a million records take seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.history import FAIL, OK, History, Send

EXAMPLES_MAX = 8
PartitionKey = tuple[str, int]


class Validity(str, Enum):
    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Verdict:
    """What one checker says: `count` anomalies among `checked` records, some in `examples`."""

    name: str
    valid: Validity
    count: int
    checked: int
    examples: tuple[dict[str, Any], ...] = ()
    note: str = ""

    def __bool__(self) -> bool:
        raise TypeError(f"a verdict has three values; ask for .valid (it is {self.valid.value})")

    def __str__(self) -> str:
        text = f"{self.name}: {self.valid.value}, {self.count} of {self.checked} records"
        text += f" ({self.note})" if self.note else ""
        return "\n  ".join([text, *(str(example) for example in self.examples)])


@dataclass
class PartitionRead:
    """What was read of one partition: the offsets [start, end). `complete` says that `end` was the
    end of the log, so that a higher acknowledged offset is lost and not merely unread."""

    start: int = 0
    end: int = 0
    complete: bool = True
    offsets: list[int] = field(default_factory=list)
    ids: list[Hashable] = field(default_factory=list)


@dataclass
class ReadBack:
    """What was read of every partition. Requires: not changed once a checker has seen it."""

    partitions: dict[PartitionKey, PartitionRead] = field(default_factory=dict)

    @cached_property
    def places(self) -> dict[Hashable, tuple[PartitionKey, int]]:
        """Where each id was read first."""
        return self._index[0]

    @cached_property
    def repeats(self) -> list[tuple[Hashable, PartitionKey, int]]:
        """Further places of ids; the same offset read again is no further place."""
        return self._index[1]

    @cached_property
    def _index(self) -> tuple[dict[Hashable, tuple[PartitionKey, int]],
                              list[tuple[Hashable, PartitionKey, int]]]:
        places: dict[Hashable, tuple[PartitionKey, int]] = {}
        repeats: dict[tuple[Hashable, PartitionKey, int], None] = {}
        for key, part in self.partitions.items():
            for offset, id_ in zip(part.offsets, part.ids, strict=True):
                place = (key, offset)
                if places.setdefault(id_, place) != place:
                    repeats[id_, key, offset] = None
        return places, list(repeats)

    def save(self, path: Path) -> None:
        """One JSON object per partition and line."""
        with open(path, "w", encoding="utf-8") as f:
            for (topic, partition), part in self.partitions.items():
                f.write(json.dumps({"topic": topic, "partition": partition, **vars(part)}) + "\n")

    @classmethod
    def load(cls, path: Path) -> ReadBack:
        """Errors: FileNotFoundError; ValueError, KeyError or TypeError when the file is damaged."""
        read = cls()
        with open(path, encoding="utf-8") as f:
            for line in f:
                values = json.loads(line)
                key = (values.pop("topic"), values.pop("partition"))
                read.partitions[key] = PartitionRead(**values)
        return read


Sends = History | list[Send]


def lost(history: Sends, read: ReadBack) -> Verdict:
    """Acknowledged records that are not in the log although the range read covers them."""
    anomalies = _Anomalies()
    for s in _acked(history):
        if s.id not in read.places and _examined(s, read):
            anomalies.add(**_example(s))
    return _verdict("lost", anomalies, history, read)


def duplicated(history: Sends, read: ReadBack) -> Verdict:
    """Records that are in the log more than once; each further place counts.

    A producer without idempotence may do this by its own retries, so let it not retry.
    """
    anomalies = _Anomalies()
    for id_, key, offset in read.repeats:
        anomalies.add(id=id_, first=_place(read.places[id_]), again=_place((key, offset)))
    return _verdict("duplicated", anomalies, history, read)


def reordered(history: Sends, read: ReadBack) -> Verdict:
    """Acknowledged records that stand in the log before one that the same producer had sent earlier
    to the same partition. Kafka promises that order to idempotent producers and to those with one
    request in flight."""
    anomalies = _Anomalies()
    latest: dict[tuple[int | str, PartitionKey], tuple[int, Hashable]] = {}
    for s in _acked(history):
        place = read.places.get(s.id)
        if place is None:
            continue
        key, offset = place
        before = latest.get((s.process, key))
        if before is not None and offset < before[0]:
            anomalies.add(id=s.id, process=s.process, at=_place(place),
                          sent_earlier=before[1], earlier_at=_place((key, before[0])))
        else:
            latest[s.process, key] = (offset, s.id)
    return _verdict("reordered", anomalies, history, read)


def inconsistent_offsets(history: Sends, read: ReadBack) -> Verdict:
    """Offsets with two records: acknowledged to two, read as two, or acknowledged to one and read
    as another; and records that were acknowledged at one offset and are at another."""
    anomalies = _Anomalies()
    at: dict[tuple[PartitionKey, int], Hashable] = {}
    for key, part in read.partitions.items():
        for offset, id_ in zip(part.offsets, part.ids, strict=True):
            other = at.setdefault((key, offset), id_)
            if other != id_:
                anomalies.add(at=_place((key, offset)), read=other, also_read=id_)
    acked_at: dict[tuple[PartitionKey, int], Hashable] = {}
    further = {(id_, key, offset) for id_, key, offset in read.repeats}
    for s in _acked(history):
        if s.partition is None or s.offset is None:
            continue
        place = ((s.topic, s.partition), s.offset)
        found = read.places.get(s.id, place)
        other = acked_at.setdefault(place, s.id)
        if other != s.id:
            anomalies.add(at=_place(place), acknowledged=other, also_acknowledged=s.id)
        elif at.get(place, s.id) != s.id:
            anomalies.add(at=_place(place), acknowledged=s.id, read=at[place])
        elif found != place and (s.id, *place) not in further:
            anomalies.add(id=s.id, acknowledged_at=_place(place), read_at=_place(found))
    return _verdict("inconsistent_offsets", anomalies, history, read)


def aborted_read(history: Sends, read: ReadBack) -> Verdict:
    """Records in the log although the producer was told that they certainly never would be
    (G1a)."""
    anomalies = _Anomalies()
    for s in _sends(history):
        if s.outcome == FAIL and s.id in read.places:
            anomalies.add(**_example(s), read_at=_place(read.places[s.id]))
    return _verdict("aborted_read", anomalies, history, read)


def unexpected(history: Sends, read: ReadBack) -> Verdict:
    """Records in the log that nobody sent."""
    anomalies = _Anomalies()
    sent = {s.id for s in _sends(history)}
    for id_, place in read.places.items():
        if id_ not in sent:
            anomalies.add(id=id_, at=_place(place))
    return _verdict("unexpected", anomalies, history, read)


ALL: tuple[Callable[[Sends, ReadBack], Verdict], ...] = (
    lost, duplicated, reordered, inconsistent_offsets, aborted_read, unexpected)


def check(history: Sends, read: ReadBack,
          checkers: Iterable[Callable[[Sends, ReadBack], Verdict]] = ALL) -> dict[str, Verdict]:
    """The verdicts of several checkers by name."""
    return {v.name: v for v in (checker(history, read) for checker in checkers)}


def worst(verdicts: Iterable[Verdict]) -> Validity:
    """False over unknown over true; unknown when there are none."""
    seen = {v.valid for v in verdicts}
    for validity in (Validity.FALSE, Validity.UNKNOWN, Validity.TRUE):
        if validity in seen:
            return validity
    return Validity.UNKNOWN


def require(history: Sends, read: ReadBack) -> None:
    """Errors: AssertionError with all that is not true, unless every verdict is true."""
    verdicts = check(history, read).values()
    if worst(verdicts) is not Validity.TRUE:
        raise AssertionError("\n".join(str(v) for v in verdicts if v.valid is not Validity.TRUE))


class _Anomalies:
    """Counts anomalies and keeps the first few."""

    def __init__(self) -> None:
        self.count = 0
        self.examples: list[dict[str, Any]] = []

    def add(self, **example: Any) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(example)


def _sends(history: Sends) -> list[Send]:
    return history.sends() if isinstance(history, History) else history


def _acked(history: Sends) -> list[Send]:
    return [s for s in _sends(history) if s.outcome == OK]


def _examined(s: Send, read: ReadBack) -> bool:
    """True when the record would have been read if it were in the log."""
    if s.id in read.places:
        return True
    part = None if s.partition is None else read.partitions.get((s.topic, s.partition))
    if part is None:
        return False
    if s.offset is None:
        return part.complete and part.start == 0
    return part.start <= s.offset and (part.complete or s.offset < part.end)


def _verdict(name: str, anomalies: _Anomalies, history: Sends, read: ReadBack) -> Verdict:
    acked = _acked(history)
    unexamined = sum(not _examined(s, read) for s in acked)
    note = ""
    if unexamined:
        note = f"{unexamined} acknowledged records are outside the ranges read"
    elif not acked:
        note = "nothing was acknowledged, so there was nothing to check"
    valid = Validity.FALSE if anomalies.count else Validity.UNKNOWN if note else Validity.TRUE
    return Verdict(name, valid, anomalies.count, len(acked) - unexamined,
                   tuple(anomalies.examples), note)


def _example(s: Send) -> dict[str, Any]:
    return {"id": s.id, "process": s.process, "topic": s.topic, "partition": s.partition,
            "offset": s.offset}


def _place(place: tuple[PartitionKey, int]) -> str:
    (topic, partition), offset = place
    return f"{topic}-{partition}@{offset}"
