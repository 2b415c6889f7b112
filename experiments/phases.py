"""Takes what a control plane does apart by the events in the nodes' traces (docs/trace.md).

Every function is pure; times are monotonic ns. A phase ends at its event, and begins where the one
before ended, so that phases add up to the total. An event that is missing gives a phase of None,
whose time falls to the next; one that came earlier than the phase before ended gives 0; one that
came after the first ack delayed nobody and ends with that ack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

PHASES = ("detect", "elect", "commit", "propagate", "first_ack")
TRACE_EVENTS = frozenset({
    "election_started", "became_leader", "leader_known", "epoch_committed", "controller_active",
    "broker_fenced", "partition_change_decided", "partition_change_committed",
    "partition_leader_started", "broker_registered", "broker_unfenced", "broker_removed",
    "broker_handed_over", "metadata_decided", "metadata_committed", "metadata_published",
    "metadata_applied"})

Event = Mapping[str, Any]
Phases = dict[str, float | None]


def after_leader_kill(trace: Sequence[Event], *, kill_ns: int, killed: int, topic: str,
                      partition: int, acks_ns: np.ndarray) -> Phases:
    """Seconds of each phase and `total`, after the leader of a partition was killed. `acks_ns`:
    when its records were acknowledged."""
    def here(event: Event) -> bool:
        return event["topic"] == topic and event["partition"] == partition

    later = [e for e in trace if e["t_ns"] >= kill_ns]
    fenced = _first(later, "broker_fenced", lambda e: e["broker"] == killed)
    decided = _first(later, "partition_change_decided",
                     lambda e: here(e) and e["leader"] not in (killed, -1))
    epoch = decided["leader_epoch"] if decided else None
    committed = _first(later, "partition_change_committed",
                       lambda e: here(e) and e["leader_epoch"] == epoch)
    started = _first(later, "partition_leader_started",
                     lambda e: here(e) and e["leader_epoch"] == epoch)
    return _lengths(kill_ns, [fenced, decided, committed, started], started, acks_ns)


def after_controller_kill(trace: Sequence[Event], *, kill_ns: int, killed: int,
                          acks_ns: np.ndarray) -> Phases:
    """The same after the active controller was killed. `acks_ns`: when metadata writes were
    acknowledged."""
    later = [e for e in trace if e["t_ns"] >= kill_ns]
    active = _first(later, "controller_active", lambda e: e["node"] != killed)
    epoch = active["epoch"] if active else None
    detected = _first(later, "election_started", lambda e: e["node"] != killed)
    elected = _first(later, "became_leader", lambda e: epoch is None or e["epoch"] == epoch)
    known: dict[int, Event] = {}
    for event in later:
        if event["event"] == "leader_known" and event["epoch"] == epoch and event["node"] != killed:
            known.setdefault(event["node"], event)
    last = max(known.values(), key=lambda e: e["t_ns"], default=None)
    return _lengths(kill_ns, [detected, elected, active, last], active, acks_ns)


def longest_gap(times_ns: np.ndarray, start_ns: int, end_ns: int) -> float:
    """Seconds of the longest stretch of [start, end] without any of the times; a stretch may begin
    before `start`."""
    inside = times_ns[(times_ns >= start_ns) & (times_ns <= end_ns)]
    before = times_ns[times_ns < start_ns]
    after = times_ns[times_ns > end_ns]
    first = before.max() if before.size else start_ns
    last = after.min() if after.size else end_ns
    edges = np.concatenate([[first], np.sort(inside), [last]])
    return float(np.diff(edges).max() / 1e9)


def lengths(start_ns: int, ends: Mapping[str, int | None], ack_ns: int | None,
            last: str = "first_ack") -> Phases:
    """Seconds of each phase by when it ended, of `last` that ends with the ack, and of `total`."""
    phases: Phases = {}
    at = start_ns
    for name, end in ends.items():
        if end is None:
            phases[name] = None
            continue
        end = end if ack_ns is None else min(end, ack_ns)
        phases[name] = max(0, end - at) / 1e9
        at = max(at, end)
    phases[last] = None if ack_ns is None else (ack_ns - at) / 1e9
    phases["total"] = None if ack_ns is None else (ack_ns - start_ns) / 1e9
    return phases


def after_detection(phases: Phases) -> float | None:
    """Seconds of all but `detect`."""
    total, detect = phases["total"], phases["detect"]
    return None if total is None or detect is None else total - detect


def _first(events: Iterable[Event], name: str, wanted: Callable[[Event], bool]) -> Event | None:
    return next((e for e in events if e["event"] == name and wanted(e)), None)


def _lengths(kill_ns: int, ends: Sequence[Event | None], serving: Event | None,
             acks_ns: np.ndarray) -> Phases:
    """`serving`: from this event on, acks are the successor's. Those before it were on their way
    when the process died and are no sign of service."""
    known = [e["t_ns"] for e in ends if e is not None]
    serving_ns = serving["t_ns"] if serving else max(known, default=kill_ns)
    served = acks_ns[acks_ns > serving_ns]
    times = [None if e is None else e["t_ns"] for e in ends]
    return lengths(kill_ns, dict(zip(PHASES, times, strict=False)),
                   int(served.min()) if served.size else None)
