"""A trace as Chrome's trace events, which Perfetto (ui.perfetto.dev) opens.

A process per node, with a track of its roles, one of its messages, one of its marks, one of what
its controller and its broker tell, and one for each shard that applies metadata; arrows between
messages; counters of what it knows to be committed and has applied. Slices of a track lie one
after the other or within each other: Perfetto drops others, with their arrows.
"""

from __future__ import annotations

from collections.abc import Callable

from qlab.trace.lanes import Lanes

_ROLES, _MESSAGES, _MARKS, _DECISIONS = 1, 2, 3, 4
_SHARDS = 10  # The track of shard 0's work; of the others behind it.
_MESSAGE_US = 1.0  # How long the slice is at most that an arrow begins or ends at.


def convert(lanes: Lanes) -> dict:
    """The object to write as JSON. Times are microseconds since the trace's begin."""
    events: list[dict] = []

    def us(at: int) -> float:
        return (at - lanes.begin) / 1000

    for node in lanes.nodes:
        events.append({"ph": "M", "name": "process_name", "pid": node, "tid": 0,
                       "args": {"name": f"node {node}"}})
        for track, name in ((_ROLES, "roles"), (_MESSAGES, "messages"), (_MARKS, "marks"),
                            (_DECISIONS, "control plane")):
            events.append({"ph": "M", "name": "thread_name", "pid": node, "tid": track,
                           "args": {"name": name}})
        for span in lanes.spans[node]:
            events.append({"ph": "X", "cat": "role", "name": f"{span.role} e{span.epoch}",
                           "pid": node, "tid": _ROLES, "ts": us(span.begin),
                           "dur": (span.end - span.begin) / 1000,
                           "args": {"role": span.role, "epoch": span.epoch}})
        for name, points in (("commit", lanes.commits[node]), ("applied", lanes.applies[node])):
            events += [{"ph": "C", "name": name, "pid": node, "tid": 0, "ts": us(at),
                        "args": {"index": index}} for at, index in points]
    for event in lanes.marks:
        events.append({"ph": "i", "s": "t", "cat": "mark", "name": event.name, "pid": event.node,
                       "tid": _MARKS, "ts": us(event.t), "args": dict(event.fields)})
    events += _decisions(lanes, us)
    lengths = _message_lengths(lanes)
    for number, message in enumerate(lanes.messages):
        common = {"cat": "message", "name": message.kind}
        args = {"words": message.words, "from": message.source, "to": message.target}
        sent = {**common, "pid": message.source, "tid": _MESSAGES, "ts": us(message.sent)}
        lost = "" if message.received is not None else " (never came)"
        events.append({**sent, "ph": "X", "dur": lengths[message.source, message.sent],
                       "name": f"send {message.kind}{lost}", "args": args})
        if message.received is None:
            continue
        came = {**common, "pid": message.target, "tid": _MESSAGES, "ts": us(message.received)}
        events.append({**came, "ph": "X", "dur": lengths[message.target, message.received],
                       "name": f"receive {message.kind}", "args": args})
        events.append({**sent, "ph": "s", "id": number})
        events.append({**came, "ph": "f", "bp": "e", "id": number})
    return {"displayTimeUnit": "ms", "traceEvents": events}


def _decisions(lanes: Lanes, us: Callable[[int], float]) -> list[dict]:
    events: list[dict] = []
    shards = {(e.node, e["shard"]) for e in lanes.decisions if e.name == "metadata_applied"}
    for node, shard in sorted(shards):
        events.append({"ph": "M", "name": "thread_name", "pid": node, "tid": _SHARDS + shard,
                       "args": {"name": f"metadata applied, shard {shard}"}})
    done: dict[tuple[int, int], int] = {}  # When the shard's last slice ends.
    for event in lanes.decisions:
        common = {"cat": "decision", "name": event.name, "pid": event.node,
                  "args": dict(event.fields)}
        if event.name != "metadata_applied":
            events.append({**common, "ph": "i", "s": "t", "tid": _DECISIONS, "ts": us(event.t)})
            continue
        track = event.node, event["shard"]
        begun = max(event["began_ns"], done.get(track, lanes.begin))
        done[track] = event.t
        events.append({**common, "ph": "X", "tid": _SHARDS + track[1], "ts": us(begun),
                       "dur": (event.t - begun) / 1000})
    return events


def _message_lengths(lanes: Lanes) -> dict[tuple[int, int], float]:
    """By node and time: until the node's next message is sent or comes, at most _MESSAGE_US."""
    times: dict[int, set[int]] = {node: set() for node in lanes.nodes}
    for message in lanes.messages:
        times[message.source].add(message.sent)
        if message.received is not None:
            times[message.target].add(message.received)
    lengths: dict[tuple[int, int], float] = {}
    for node, own in times.items():
        ordered = sorted(own)
        for at, after in zip(ordered, [*ordered[1:], None]):
            gap = _MESSAGE_US if after is None else (after - at) / 1000
            lengths[node, at] = min(_MESSAGE_US, gap)
    return lengths
