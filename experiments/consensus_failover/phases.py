"""From a fault to the first acknowledged write: what the traces of our nodes say of the way
(docs/trace.md), and what the clients saw."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

PHASES = ("detect", "elect", "sync", "ack")
PHASE_WORDS = {
    "detect": "fault to the first election",
    "elect": "to the leader that came of it",
    "sync": "to its epoch's first commit (ZAB: a quorum has its history)",
    "ack": "to the first acknowledgement at a client",
}

Event = Mapping[str, Any]


def read_trace(path: Path) -> list[Event]:
    """The events of one node; a torn last line is left out."""
    events = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            events.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return events


def first_ack(path: Path, fault_ns: int, except_connection: int) -> int | None:
    """When the first write that was intended after the fault was acknowledged, on another
    connection than the one to the member that was hit. None: never."""
    with open(path, encoding="utf-8", newline="") as file:
        answered = [int(row["answered_ns"]) for row in csv.DictReader(file)
                    if row["outcome"] == "ok" and int(row["intended_ns"]) > fault_ns
                    and int(row["connection"]) != except_connection]
    return min(answered, default=None)


def phases_ms(events: Iterable[Event], fault_ns: int, ack_ns: int) -> dict[str, float] | None:
    """The phases in ms. `events`: of the members that live on, in any order. The leader is the last
    one that came to be, and whose epoch was committed, before the ack. None: the trace has none."""
    later = sorted((e for e in events if fault_ns < e["t_ns"] <= ack_ns), key=lambda e: e["t_ns"])
    began = _times(later, "election_started")
    committed = [e for e in later if e["event"] == "epoch_committed"]
    if not began or not committed:
        return None
    epoch = committed[-1]["epoch"]
    led = _times((e for e in later if e.get("epoch") == epoch), "became_leader")
    if not led or led[0] < began[0]:
        return None
    marks = [fault_ns, began[0], led[0], max(led[0], committed[-1]["t_ns"]), ack_ns]
    return {phase: (end - begin) / 1e6
            for phase, begin, end in zip(PHASES, marks[:-1], marks[1:], strict=True)}


def _times(events: Iterable[Event], name: str) -> Sequence[int]:
    return [e["t_ns"] for e in events if e["event"] == name]
