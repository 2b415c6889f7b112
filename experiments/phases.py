"""Takes what a control plane does apart by the events in the nodes' traces (docs/trace.md).

Every function is pure; times are monotonic ns. A phase ends at its event, and begins where the one
before ended, so that phases add up to the total. An event that is missing gives a phase of None,
whose time falls to the next; one that came earlier than the phase before ended gives 0; one that
came after the first ack delayed nobody and ends with that ack.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

PHASES = ("detect", "elect", "commit", "propagate", "first_ack")
FAILOVER = ("detect", "elect", "topics", "states", "decide", "activate", "announce", "first_ack")
MOVE = ("detect", "decide", "commit", "propagate", "apply", "ack")
RESTART = ("recover", "register", "unfence", "open", "in_sync")
CHANGE = ("decide", "commit", "propagate", "apply")
SERVED_MIN = 5  # Acknowledged requests, sent after a fault, that make a service.
TRACE_EVENTS = frozenset({
    "election_started", "became_leader", "leader_known", "epoch_committed", "controller_active",
    "broker_fenced", "partition_change_decided", "partition_change_committed",
    "partition_leader_started", "broker_registered", "broker_unfenced", "broker_removed",
    "broker_handed_over", "metadata_decided", "metadata_committed", "metadata_published",
    "metadata_applied", "replica_started", "controller_vacant", "controller_elected",
    "reload_brokers_read", "reload_topics_read", "reload_states_read", "reload_decided",
    "reload_sent", "reload_answered", "control_requests_sent",
    "znodes_used"})
RELOAD = {"topics": "reload_topics_read", "states": "reload_states_read",
          "decide": "reload_decided"}

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


def served_again(asked_ns: Sequence[tuple[int, int]], fault_ns: int) -> bool:
    """Requests that were sent after the fault are acknowledged. `asked_ns`: when those that were
    acknowledged were sent, and when answered."""
    return sum(sent > fault_ns for sent, _ in asked_ns) >= SERVED_MIN


def controller_failover(trace: Sequence[Event], *, fault_ns: int, hit: int,
                        asked_ns: Sequence[tuple[int, int]]) -> Phases:
    """Seconds of each phase of FAILOVER and `total`, after the active controller was killed or
    frozen."""
    later = [e for e in trace if e["t_ns"] >= fault_ns and e["node"] != hit]
    ack_ns = min((answer for sent, answer in asked_ns if sent > fault_ns), default=None)
    active = _first(later, "controller_active", lambda e: ack_ns is None or e["t_ns"] <= ack_ns)
    if any(e["event"] == "controller_elected" for e in later):
        ends = _zk_failover(later, active)
    else:
        ends = _quorum_failover(later, active)
    return lengths(fault_ns, ends, ack_ns)


def _quorum_failover(later: Sequence[Event], active: Event | None) -> dict[str, int | None]:
    epoch = active["epoch"] if active else None
    known: dict[int, int] = {}
    for event in later:
        if event["event"] == "leader_known" and event["epoch"] == epoch:
            known.setdefault(event["node"], event["t_ns"])
    elected = _first(later, "became_leader", lambda e: epoch is None or e["epoch"] == epoch)
    return {"detect": _time(_first(later, "election_started", lambda _: True)),
            "elect": _time(elected), "activate": _time(active),
            "announce": max(known.values(), default=None)}


def _zk_failover(later: Sequence[Event], active: Event | None) -> dict[str, int | None]:
    """Of the last that was elected before one was active: an earlier one may have failed."""
    each = [e for e in later if e["event"] == "controller_elected"]
    elected, *_ = [e for e in each if active is None or e["t_ns"] <= active["t_ns"]][-1:] or each
    own = [e for e in later if e["node"] == elected["node"] and e["t_ns"] >= elected["t_ns"]]
    return {"detect": _time(_first(later, "controller_vacant", lambda _: True)),
            "elect": _time(elected),
            **{phase: _time(_first(own, name, lambda _: True)) for phase, name in RELOAD.items()},
            "activate": _time(active),
            "announce": _time(_first(own, "reload_answered", lambda _: True))}


def leaders_moved(trace: Sequence[Event], *, fault_ns: int, hit: int, survivors: Sequence[int],
                  acks_ns: Sequence[int], moved: str = "broker_removed") -> Phases:
    """Seconds of each phase of MOVE and `total`, after a broker that leads partitions was hit, or
    told to shut down (`moved` = `broker_handed_over`; then nothing is detected). `acks_ns`: of each
    partition that it led, when a record was first acknowledged by its successor; the last of them
    ends it."""
    later = [e for e in trace if e["t_ns"] >= fault_ns]
    fenced = _first(later, "broker_fenced", lambda e: e["broker"] == hit)
    until = _time(_first(later, moved, lambda e: e["broker"] == hit))
    ends = {"detect": _time(fenced)} if moved == "broker_removed" else {}
    decided, committed = (
        [e for e in later if e["event"] == name and e["leaders"] > 0
         and (until is None or e["t_ns"] <= until)]
        for name in ("metadata_decided", "metadata_committed"))
    ends |= {"decide": max((e["t_ns"] for e in decided), default=None),
             "commit": max((e["t_ns"] for e in committed), default=None)}
    ends |= _arrivals(later, _offset(committed), survivors)
    return lengths(fault_ns, ends, max(acks_ns, default=None), MOVE[-1])


def restart(trace: Sequence[Event], *, start_ns: int, node: int, ready_ns: int,
            in_sync_ns: int) -> Phases:
    """Seconds of each phase of RESTART and `total`, after a broker's process was started again.
    `in_sync_ns`: its replicas that are watched were in the ISR again."""
    own = [e for e in trace if e["t_ns"] >= start_ns and e["node"] == node]
    begun = _first(own, "replica_started", lambda _: True)
    registered = _first(own, "broker_registered", lambda _: True)
    unfenced = _first(own, "broker_unfenced", lambda _: True)
    return lengths(start_ns, {"recover": _time(begun), "register": _time(registered),
                              "unfence": _time(unfenced), "open": ready_ns}, in_sync_ns,
                   RESTART[-1])


def change(trace: Sequence[Event], *, asked_ns: int, brokers: Sequence[int]) -> Phases:
    """Seconds of each phase of CHANGE and `total`, of one change of metadata and nothing else:
    until the last broker has applied it."""
    later = [e for e in trace if e["t_ns"] >= asked_ns]
    decided = [e["t_ns"] for e in later if e["event"] == "metadata_decided"]
    committed = [e for e in later if e["event"] == "metadata_committed"]
    told = [e for e in later if e["event"] == "control_requests_sent"]
    arrivals = _arrivals(later, _offset(committed), brokers)
    return lengths(asked_ns, {"decide": max(decided, default=None),
                              "commit": max((e["t_ns"] for e in [*committed, *told]), default=None),
                              "propagate": arrivals["propagate"]}, arrivals["apply"], CHANGE[-1])


def _offset(committed: Iterable[Event]) -> int:
    """Of the last of the batches in the log; -1: a zk controller has none."""
    return max((e["offset"] for e in committed), default=-1)


def _arrivals(trace: Sequence[Event], offset: int, brokers: Sequence[int]) -> dict[str, int | None]:
    """When the last of the brokers knew of it and had applied it. Without an offset: when it told
    so last, which takes a trace that ends when all is quiet."""
    def arrived(name: str) -> int | None:
        return (reached(trace, name, offset, brokers) if offset >= 0
                else _last(trace, name, brokers))
    return {"propagate": arrived("metadata_published"), "apply": arrived("metadata_applied")}


def propagation(trace: Sequence[Event], brokers: Sequence[int]) -> dict[str, list[float]]:
    """Of each batch, the seconds from its commit until the last of the brokers knew it (`publish`)
    and had applied it (`apply`). A batch that not all came to is left out. With a zk controller, of
    each step that told all brokers something: until the next that each of them published and
    applied."""
    seen: dict[str, dict[int, list[Event]]] = {}
    for event in trace:
        seen.setdefault(event["event"], {}).setdefault(event["node"], []).append(event)
    lags: dict[str, list[float]] = {"publish": [], "apply": []}
    by_offset = _offset(e for e in trace if e["event"] == "metadata_committed") >= 0
    for batch in trace:
        if batch["event"] != ("metadata_committed" if by_offset else "control_requests_sent"):
            continue
        if not by_offset and batch["update_metadata"] < len(brokers):
            continue
        key, value = ("offset", batch["offset"]) if by_offset else ("t_ns", batch["t_ns"])
        for lag, name in (("publish", "metadata_published"), ("apply", "metadata_applied")):
            times = [_when_at(seen.get(name, {}).get(b, []), key, value) for b in brokers]
            known = sorted(t for t in times if t is not None)
            # A zk controller tells replicas of changes to those brokers alone that have them.
            wanted = len(brokers) if by_offset or lag == "publish" else batch["leader_and_isr"]
            if 0 < wanted <= len(known):
                lags[lag].append(max(0, known[wanted - 1] - batch["t_ns"]) / 1e9)
    return lags


def _when_at(events: Sequence[Event], key: str, value: int) -> int | None:
    """When one broker's events came to that value; they are in its order."""
    at = bisect.bisect_left(events, value, key=lambda e: e[key])
    return events[at]["t_ns"] if at < len(events) else None


def reached(trace: Iterable[Event], name: str, offset: int,
            brokers: Sequence[int]) -> int | None:
    """When the last of the brokers told the event with at least that offset; None: one never
    did."""
    first: dict[int, int] = {}
    for event in trace:
        if event["event"] == name and event["offset"] >= offset:
            first.setdefault(event["node"], event["t_ns"])
    return max(first[b] for b in brokers) if all(b in first for b in brokers) else None


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


def _last(trace: Iterable[Event], name: str, brokers: Sequence[int]) -> int | None:
    """When the last of the brokers told the event last; None: one never did."""
    last = {e["node"]: e["t_ns"] for e in trace if e["event"] == name}
    return max(last[b] for b in brokers) if all(b in last for b in brokers) else None


def _time(event: Event | None) -> int | None:
    return None if event is None else event["t_ns"]


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
