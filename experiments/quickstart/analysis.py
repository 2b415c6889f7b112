"""Quickstart: from the files of a trial to its numbers, and from a run's numbers to figures and
words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments import figures, phases, stats
from experiments.load_generator import Operations, load_operations, load_read_back
from experiments.raw_data import lines
from experiments.report import Observation, Run, TrialData, number
from harness import checkers

TOPIC = "quickstart"
QUANTILES = ("0.5", "0.99", "0.999")
KILLED = {"partition_leader": "partition leader", "controller": "controller"}
VICTIM = {"partition_leader": "leader", "controller": "controller"}  # Where there is little room.
COMPARED_FROM = 5  # Trials; the bootstrap interval of fewer covers too little to compare by.
GUARD_NS = 250_000_000  # What is sent so shortly before a kill may suffer from it: not steady.


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    """Every number of one trial. Errors: OSError or ValueError when a file is missing or
    damaged."""
    operations = load_operations(directory)
    log = json.loads((directory / "faults.json").read_text())
    result = json.loads((directory / "result.json").read_text())
    begin_ns, end_ns = _steady_range(directory, parameters)
    return [*_steady(directory, operations, begin_ns, end_ns),
            *_unavailability(directory, operations, log),
            *_verdicts(directory, operations),
            Observation("warmup_unsteady", int(not result["steady"]))]


def steady_ms(operations: Operations, begin_ns: int, end_ns: int) -> np.ndarray:
    """Latencies of the records intended in [begin, end)."""
    chosen = (operations.intended >= begin_ns) & (operations.intended < end_ns)
    return operations.response_ms[chosen & (operations.completed >= 0)]


def load_trace(directory: Path) -> list[dict[str, Any]]:
    """The events of all nodes, in the order of time."""
    paths = sorted({p.with_suffix("") for p in directory.glob("node-*.trace.ndjson.*")})
    events = [e for path in paths for e in lines(path)]
    return sorted(events, key=lambda e: e["t_ns"])


def _steady_range(directory: Path, parameters: Mapping[str, Any]) -> tuple[int, int]:
    """Ends before the first victim is looked for, which costs a core some milliseconds, or more on
    a busy machine."""
    result = json.loads((directory / "result.json").read_text())
    log = json.loads((directory / "faults.json").read_text())
    begin_ns = result["measured_from_ns"]
    end_ns = begin_ns + int(parameters["steady_s"] * 1e9)
    return begin_ns, min(end_ns, log[0]["kill_ns"] - GUARD_NS)


def _steady(directory: Path, operations: Operations, begin_ns: int,
            end_ns: int) -> list[Observation]:
    latency = steady_ms(operations, begin_ns, end_ns)
    chosen = (operations.intended >= begin_ns) & (operations.intended < end_ns)
    if not latency.size:
        raise ValueError(f"{directory}: no record in the steady phase")
    lag = (operations.sent - operations.intended)[chosen] / 1e6
    acked = int((chosen & operations.ok).sum())
    found = [Observation("produce_latency_ms", stats.quantile(latency, float(q)), {"quantile": q})
             for q in QUANTILES]
    arrived = _end_to_end_ms(directory, operations, chosen)
    if arrived.size:
        found += [Observation("end_to_end_latency_ms", stats.quantile(arrived, float(q)),
                              {"quantile": q}) for q in QUANTILES]
    return [*found, Observation("achieved_rate", acked / ((end_ns - begin_ns) / 1e9)),
            Observation("schedule_lag_ms", stats.quantile(lag, 0.99), {"quantile": "0.99"})]


def _end_to_end_ms(directory: Path, operations: Operations, chosen: np.ndarray) -> np.ndarray:
    """By the first time that the consumer saw each chosen record."""
    seen: dict[int, int] = {}
    for poll in lines(directory / "polls.jsonl"):
        for id_ in poll["ids"]:
            if id_ is not None:
                seen.setdefault(id_, poll["time"])
    pairs = [(seen[i], at) for i, at in zip(operations.ids[chosen].tolist(),
                                           operations.intended[chosen].tolist(), strict=True)
             if i in seen]
    return np.array([(arrival - intended) / 1e6 for arrival, intended in pairs])


def _unavailability(directory: Path, operations: Operations,
                    log: list[dict[str, Any]]) -> list[Observation]:
    trace = load_trace(directory)
    found: list[Observation] = []
    for fault in log:
        killed = fault["killed"]
        if killed == "partition_leader":
            lengths = phases.after_leader_kill(
                trace, kill_ns=fault["kill_ns"], killed=fault["node"], topic=TOPIC,
                partition=fault["partition"], acks_ns=operations.acks_ns(fault["partition"]))
        else:
            created = load_operations(directory / "probe")
            lengths = phases.after_controller_kill(
                trace, kill_ns=fault["kill_ns"], killed=fault["node"],
                acks_ns=created.completed[created.ok])
        found += [Observation("unavailability_s", seconds, {"killed": killed, "phase": phase})
                  for phase, seconds in lengths.items()]
        # A stall that outlasts the node's absence ends with the acks after it.
        gaps = [phases.longest_gap(operations.acks_ns(n), fault["kill_ns"], fault["in_sync_ns"])
                for n in np.unique(operations.partitions) if n >= 0]
        found.append(Observation("produce_stall_s", max(gaps), {"killed": killed}))
        found.append(Observation("in_sync_s", (fault["in_sync_ns"] - fault["restart_ns"]) / 1e9,
                                 {"killed": killed}))
    return found


def _verdicts(directory: Path, operations: Operations) -> list[Observation]:
    sends = operations.sends()
    found = checkers.check(sends, load_read_back(directory))
    acked = int(operations.ok.sum())
    others = ("inconsistent_offsets", "aborted_read", "unexpected")
    return [Observation("acked_records", acked),
            Observation("acked_lost", found["lost"].count),
            Observation("acked_duplicated", found["duplicated"].count),
            Observation("acked_reordered", found["reordered"].count),
            Observation("other_anomalies", sum(found[name].count for name in others)),
            Observation("acked_unexamined", acked - found["lost"].checked),
            Observation("unacked_records", len(operations) - acked)]


def draw(run: Run, directory: Path) -> dict[str, str]:
    """Draws all figures and says what each shows."""
    samples: dict[str, list[np.ndarray]] = {}
    for trial in run.trials:
        begin_ns, end_ns = _steady_range(trial.directory, run.parameters)
        samples.setdefault(trial.system, []).append(
            steady_ms(load_operations(trial.directory), begin_ns, end_ns))
    figures.quantile_curves(dict(sorted(samples.items())), directory / "latency",
                            seed=run.state["seed"])
    says = {"latency": _say_latency(run), "verdict": _say_verdict(run)}
    bars = _bars(run)
    if bars:
        figures.stacked_phases(bars, directory / "unavailability")
        says["unavailability"] = _say_unavailability(run)
    shown = [t for system in run.systems if (t := _typical(run, system)) is not None]
    figures.timelines([_panel(t, run.parameters) for t in shown], directory / "timeline")
    says["timeline"] = (
        "While a replica is dead and not yet fenced, acks=all waits for it on every partition it "
        "has a copy of, so all partitions stall, not only those that it led; once it is fenced, "
        "two replicas suffice. Records that fell due during the stall are acknowledged together at "
        "its end: their latencies form the falling slope.")
    return says


def _bars(run: Run) -> list[figures.Bar]:
    bars = []
    for killed, group in KILLED.items():
        for system in run.systems:
            total = run.estimate("unavailability_s", system, killed=killed, phase="total")
            if total is None:
                continue
            lengths = {phase: estimate for phase in phases.PHASES
                       if (estimate := run.estimate("unavailability_s", system, killed=killed,
                                                    phase=phase)) is not None}
            points = [value for t in run.trials if t.system == system
                      if (value := t.value("unavailability_s", killed=killed, phase="total"))
                      is not None]
            bars.append(figures.Bar(system, group, lengths, total, points))
    return bars


def _typical(run: Run, system: str) -> TrialData | None:
    """The trial whose unavailability after the leader's death is the (lower) median."""
    mine = [t for t in run.trials if t.system == system]

    def total(trial: TrialData) -> float:
        value = trial.value("unavailability_s", killed="partition_leader", phase="total")
        return float("inf") if value is None else value

    return sorted(mine, key=total)[(len(mine) - 1) // 2] if mine else None


def _panel(trial: TrialData, parameters: Mapping[str, Any]) -> figures.Panel:
    operations = load_operations(trial.directory)
    begin_ns, _ = _steady_range(trial.directory, parameters)
    log = json.loads((trial.directory / "faults.json").read_text())

    def seconds(times: Any) -> Any:
        return (times - begin_ns) / 1e9

    done = operations.completed >= 0
    lines_ = {f"partition {n}": seconds(operations.acks_ns(n))
              for n in np.unique(operations.partitions)[:5] if n >= 0}
    bands = [figures.Band(seconds(f["kill_ns"]), seconds(f["in_sync_ns"]),
                          f"{VICTIM[f['killed']]} killed\n(node {f['node']})")
             for f in log]
    return figures.Panel(f"{trial.system}, trial {trial.number}",
                         seconds(operations.intended)[done], operations.response_ms[done],
                         operations.outcomes[done], lines_, bands)


def _interval(estimate: stats.Estimate, unit: str) -> str:
    if estimate.ci_low is None:
        return f"{number(estimate.median)} {unit} (one trial, no interval)"
    return (f"{number(estimate.median)} {unit} "
            f"(95 % CI {number(estimate.ci_low)} to {number(estimate.ci_high)})")


def _compare(run: Run, metric: str, unit: str, **params: str) -> str:
    """`2.1 ms (95 % CI ...) with buffered and 1.9 ms (...) with uring; the intervals overlap,
    ...`"""
    found = {s: e for s in run.systems if (e := run.estimate(metric, s, **params)) is not None}
    text = " and ".join(f"{_interval(e, unit)} with {s}" for s, e in found.items())
    if len(found) != 2:
        return text
    one, other = found.values()
    if min(one.n, other.n) < COMPARED_FROM:
        return text + ", too few trials to tell them apart"
    if stats.disjoint(one, other):
        return (text + "; the intervals do not meet, so the difference is larger than the spread "
                "of the trials")
    return text + "; the intervals overlap, so these trials show no difference"


def _say_latency(run: Run) -> str:
    median = _compare(run, "produce_latency_ms", "ms", quantile="0.5")
    tail = _compare(run, "produce_latency_ms", "ms", quantile="0.99")
    return (f"The median record is acknowledged after {median}. "
            f"One in a hundred takes longer than {tail}.")


def _say_unavailability(run: Run) -> str:
    sentences = []
    effects = {"partition_leader": "After the leader's death its partition accepts writes again",
               "controller": "After the controller's death metadata can be written again"}
    for killed, words in effects.items():
        text = _compare(run, "unavailability_s", "s", killed=killed, phase="total")
        largest: dict[str, float] = {}
        for phase in phases.PHASES:
            for system in run.systems:
                row = run.row("unavailability_s", system, killed=killed, phase=phase)
                if row:
                    largest[phase] = max(largest.get(phase, 0.0), row["median"])
        if text and largest:
            longest = max(largest, key=lambda phase: largest[phase]).replace("_", " ")
            sentences.append(f"{words} within {text}; the longest phase is “{longest}”.")
        sentences += _say_never(run, killed)
    return " ".join(sentences)


def _say_never(run: Run, killed: str) -> list[str]:
    """What a median over the other trials would hide."""
    totals = [t.value("unavailability_s", killed=killed, phase="total") for t in run.trials]
    never = totals.count(None)
    return [f"In {never} of {len(totals)} trials no ack came before the load ended; the numbers "
            f"are of the others."] if never else []


def _say_verdict(run: Run) -> str:
    def total(metric: str) -> int:
        return int(sum(row["median"] for row in run.summary if row["metric"] == metric))

    kinds = {"lost": "acked_lost", "duplicated": "acked_duplicated", "reordered": "acked_reordered"}
    words = ", ".join(f"{total(metric)} {kind}" for kind, metric in kinds.items())
    text = (f"{number(total('acked_records'))} records were acknowledged in {len(run.trials)} "
            f"trials with two kills each. Read back afterwards: {words}.")
    if total("acked_unexamined"):
        text += f" {total('acked_unexamined')} could not be examined."
    if total("unacked_records"):
        text += (f" {total('unacked_records')} further records failed or have an unknown outcome; "
                 "they are in the history and in the figures.")
    return text
