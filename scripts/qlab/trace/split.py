"""Where the time of an entry goes: proposed, durable here, durable at a quorum, known to be
committed, applied."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from qlab.trace.events import Trace

STAGES = ("locally_durable", "quorum_durable", "known_committed", "applied")
QUANTILES = (50, 90, 99, 99.9)


@dataclass
class Row:
    node: int
    role: str  # leader: it proposed them. follower.
    stage: str
    count: int
    quantiles_us: list[float]  # Of QUANTILES, from when the leader proposed the entry.


def quorums(trace: Trace) -> dict[int, int]:
    """How many nodes commit, by the time from which that holds: a majority of the voters, unless
    the configuration has another number. Weights and joint configurations are not looked into."""
    sizes: dict[int, int] = {}
    for event in trace.named("replica_started", "config_active"):
        members = str(event["members"]).split("<-", 1)[0].split(",")
        counting = [member for member in members if not member.endswith("o")]
        sizes[event.t] = event.get("commit_quorum", 0) or len(counting) // 2 + 1
    return sizes


def samples(trace: Trace) -> dict[tuple[int, str, str], list[float]]:
    """(node, role, stage) -> microseconds since the proposal, one for each entry that was followed
    and whose leader was heard of."""
    entries: dict[tuple[int, int], list] = defaultdict(list)
    for event in trace.named("entry"):
        entries[event["epoch"], event["index"]].append(event)
    sizes = sorted(quorums(trace).items())
    found: dict[tuple[int, str, str], list[float]] = defaultdict(list)
    for copies in entries.values():
        proposed = [copy["appended_ns"] for copy in copies if copy["proposed"]]
        if not proposed:
            continue  # Its leader did not live to tell.
        zero = proposed[0]
        size = next((n for at, n in reversed(sizes) if at <= zero), 1)
        durable = sorted({copy.node: copy["durable_ns"] for copy in copies}.values())
        for copy in copies:
            role = "leader" if copy["proposed"] else "follower"

            def add(stage: str, at: int, copy=copy, role=role) -> None:
                if at >= 0:
                    found[copy.node, role, stage].append((at - zero) / 1000)

            add("locally_durable", copy["durable_ns"])
            if copy["proposed"] and len(durable) >= size:
                add("quorum_durable", durable[size - 1])
            add("known_committed", copy["committed_ns"])
            add("applied", copy["applied_ns"])
    return found


def rows(trace: Trace) -> list[Row]:
    found = samples(trace)
    result = []
    for node, role in sorted({(node, role) for node, role, _ in found},
                             key=lambda one: (one[1] != "leader", one[0])):
        for stage in STAGES:
            values = found.get((node, role, stage))
            if values:
                quantiles = [float(value) for value in np.percentile(values, QUANTILES)]
                result.append(Row(node, role, stage, len(values), quantiles))
    return result
