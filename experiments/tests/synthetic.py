"""Raw data of a quickstart trial that never ran: exact times, so that tests can say what must come
out."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

MS = 1_000_000
SECOND = 1_000_000_000
BEGIN = 100 * SECOND  # When measuring began.
LEADER_KILL = 104 * SECOND
CONTROLLER_KILL = 108 * SECOND
STALL = 0.8  # Seconds from the leader's kill to the first ack.
PARTITIONS = 3
TOPIC = "quickstart"

# Milliseconds after the kill.
LEADER_PHASES = {"broker_fenced": 500, "partition_change_decided": 510,
                 "partition_change_committed": 560, "partition_leader_started": 600}
CONTROLLER_PHASES = {"election_started": 300, "became_leader": 320, "controller_active": 350,
                     "leader_known": 420}


def write_trial(directory: Path, *, seed: int, latency_ms: float = 2.0, rate: int = 200,
                drop_ids: tuple[int, ...] = (), repeat_ids: tuple[int, ...] = (),
                swap: bool = False, fail_ids: tuple[int, ...] = (),
                lose_partition: bool = False) -> None:
    """All acks of the stall come at its end; with `lose_partition` that of the killed leader never
    acknowledges again. `drop_ids`, `repeat_ids` and `swap` damage what is read back."""
    directory.mkdir(parents=True, exist_ok=True)
    draw = random.Random(seed)
    ends = [0] * PARTITIONS
    logs: list[list[int]] = [[] for _ in range(PARTITIONS)]
    lines: list[dict[str, Any]] = []
    polls: list[dict[str, Any]] = []
    resume = LEADER_KILL + int(STALL * SECOND)
    for number in range(12 * rate):
        intended = BEGIN - SECOND + number * SECOND // rate
        partition = number % PARTITIONS
        done = intended + int(latency_ms * draw.lognormvariate(0, 0.3) * MS)
        if LEADER_KILL <= done < resume:
            done = resume
        send = {"topic": TOPIC, "partition": partition, "id": number}
        lines.append(_line(intended + MS // 10, "invoke", {**send, "intended": intended}))
        silent = lose_partition and partition == 0 and done >= LEADER_KILL
        if number in fail_ids or silent:
            lines.append(_line(done, "info", send, "_MSG_TIMED_OUT"))
            continue
        lines.append(_line(done, "ok", {**send, "offset": ends[partition]}))
        polls.append({"time": done + 5 * MS, "partition": partition, "offsets": [ends[partition]],
                      "ids": [number]})
        ends[partition] += 1
        logs[partition].append(number)
    lines.sort(key=lambda line: line["time"])
    for index, line in enumerate(lines):
        line["index"] = index
    _write(directory / "history.jsonl.gz", lines)
    _write(directory / "polls.jsonl.gz", polls)
    _write_log(directory, logs, drop_ids, repeat_ids, swap)
    _write_events(directory)
    (directory / "result.json").write_text(json.dumps({"measured_from_ns": BEGIN, "steady": True}))


def _write_log(directory: Path, logs: list[list[int]], drop_ids: tuple[int, ...],
               repeat_ids: tuple[int, ...], swap: bool) -> None:
    records, parts = [], []
    for partition, ids in enumerate(logs):
        kept = list(ids)
        if swap:
            kept[0], kept[1] = kept[1], kept[0]
        rows = [(offset, id_) for offset, id_ in enumerate(kept) if id_ not in drop_ids]
        end = len(kept)
        for id_ in repeat_ids:
            if id_ in kept:
                rows.append((end, id_))
                end += 1
        records += [{"partition": partition, "offset": o, "id": i} for o, i in rows]
        parts.append({"partition": partition, "low": 0, "high": end, "records": len(rows)})
    _write(directory / "records.jsonl.gz", records)
    (directory / "read.json").write_text(json.dumps({"topic": TOPIC, "partitions": parts}))


def _write_events(directory: Path) -> None:
    """Node 1 is killed as a leader, node 2 as the controller; node 3 takes over both."""
    where = {"topic": TOPIC, "partition": 0, "leader": 3, "leader_epoch": 1}
    more = {"broker_fenced": {"broker": 1, "reason": "session_timeout"},
            "election_started": {"epoch": 2, "reason": "timeout"}, "became_leader": {"epoch": 2},
            "controller_active": {"epoch": 2}, "leader_known": {"epoch": 2, "leader": 3}}
    node_3 = [_event(LEADER_KILL + ms * MS, 3, name, **more.get(name, where))
              for name, ms in LEADER_PHASES.items()]
    node_3 += [_event(CONTROLLER_KILL + ms * MS, 3, name, **more[name])
               for name, ms in CONTROLLER_PHASES.items() if name != "leader_known"]
    node_3.append(_event(CONTROLLER_KILL + 321 * MS, 3, "leader_known", epoch=2, leader=3))
    node_1 = [_event(CONTROLLER_KILL + 420 * MS, 1, "leader_known", epoch=2, leader=3)]
    _write(directory / "node-3.trace.ndjson.gz", node_3)
    _write(directory / "node-1.trace.ndjson.gz", node_1)
    faults = [{"killed": "partition_leader", "node": 1, "kill_ns": LEADER_KILL, "partition": 0,
               "restart_ns": LEADER_KILL + 1500 * MS, "in_sync_ns": LEADER_KILL + 2000 * MS},
              {"killed": "controller", "node": 2, "kill_ns": CONTROLLER_KILL,
               "restart_ns": CONTROLLER_KILL + 1500 * MS,
               "in_sync_ns": CONTROLLER_KILL + 1800 * MS}]
    (directory / "faults.json").write_text(json.dumps(faults))
    (directory / "probe").mkdir(exist_ok=True)
    value = {"topic": "probe-", "partition": None, "id": 0}
    asked = {**value, "intended": CONTROLLER_KILL}
    acked = CONTROLLER_KILL + 450 * MS
    _write(directory / "probe" / "history.jsonl.gz",
           [{**_line(CONTROLLER_KILL, "invoke", asked), "index": 0},
            {**_line(acked, "ok", value), "index": 1}])


def _event(t_ns: int, node: int, name: str, **fields: Any) -> dict[str, Any]:
    return {"t_ns": t_ns, "node": node, "event": name, **fields}


def _line(time: int, type_: str, value: dict[str, Any], error: str | None = None) -> dict[str, Any]:
    return {"index": 0, "time": time, "type": type_, "process": 0, "f": "send", "value": value,
            "error": error}


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
