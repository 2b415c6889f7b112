"""A trace as Chrome's trace events, which Perfetto (ui.perfetto.dev) opens.

A process per node, with a track of its roles, one of its messages and one of its marks; arrows
between messages; counters of what it knows to be committed and has applied.
"""

from __future__ import annotations

from qlab.trace.lanes import Lanes

_ROLES, _MESSAGES, _MARKS = 1, 2, 3
_MESSAGE_US = 1.0  # How long the slice is that an arrow begins or ends at.


def convert(lanes: Lanes) -> dict:
    """The object to write as JSON. Times are microseconds since the trace's begin."""
    events: list[dict] = []

    def us(at: int) -> float:
        return (at - lanes.begin) / 1000

    for node in lanes.nodes:
        events.append({"ph": "M", "name": "process_name", "pid": node, "tid": 0,
                       "args": {"name": f"node {node}"}})
        for track, name in ((_ROLES, "roles"), (_MESSAGES, "messages"), (_MARKS, "marks")):
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
    for number, message in enumerate(lanes.messages):
        common = {"cat": "message", "name": message.kind}
        args = {"words": message.words, "from": message.source, "to": message.target}
        sent = {**common, "pid": message.source, "tid": _MESSAGES, "ts": us(message.sent)}
        lost = "" if message.received is not None else " (never came)"
        events.append({**sent, "ph": "X", "dur": _MESSAGE_US,
                       "name": f"send {message.kind}{lost}", "args": args})
        if message.received is None:
            continue
        came = {**common, "pid": message.target, "tid": _MESSAGES, "ts": us(message.received)}
        events.append({**came, "ph": "X", "dur": _MESSAGE_US, "name": f"receive {message.kind}",
                       "args": args})
        events.append({**sent, "ph": "s", "id": number})
        events.append({**came, "ph": "f", "bp": "e", "id": number})
    return {"displayTimeUnit": "ms", "traceEvents": events}
