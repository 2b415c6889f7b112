"""What a commit costs: the points of a trial, and what the figures say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments import consensus_groups, figures, storage_bench
from experiments.consensus_groups import MODULES, PEERS, Group, GroupOptions
from experiments.definition import numbers
from experiments.report import Observation, Run, number
from experiments.runner import Trial
from experiments.storage_bench import Recorder, curve, size_name

CONNECTIONS_MAX = 4
BASE = {"nodes": 3, "transport": "tcp", "durability": "sync"}
SIZE = 1024  # Where one thing at a time is varied, and what must hold is judged.


def run_trial(trial: Trial) -> None:
    system = trial.cell["system"]
    if system in PEERS:
        consensus_groups.require(system)
    record = Recorder(trial)
    for group_point, loads in _groups(trial.parameters, system):
        options = GroupOptions(
            size=group_point["nodes"], durable=group_point["durability"] == "sync",
            detection_ms=trial.parameters["detection_ms"], transport=group_point["transport"])
        directory = trial.scratch / "-".join(str(word) for word in group_point.values())
        trial.say(f"starting {_words(group_point)}")
        with Group(system, options, directory) as group:
            _measure(trial, group, group_point, loads, record)


def _measure(trial: Trial, group: Group, group_point: Mapping[str, Any],
             loads: list[dict[str, int]], record: Recorder) -> None:
    p, system = trial.parameters, trial.cell["system"]
    warmup = p["first_warmup"]  # Of the group: a JVM compiles what it runs often.
    for point in storage_bench.shuffled(loads, trial.seed):
        trial.say(f"{_words(group_point)}, {size_name(point['bytes'])}, window {point['window']}")
        leader = group.wait_leader(10)
        result = consensus_groups.load(
            system, [leader.endpoint], group.directory / "load", duration=p["seconds"],
            warmup=warmup, window=point["window"], bytes=point["bytes"],
            connections=min(point["window"], CONNECTIONS_MAX))
        record.add(result, **group_point, **point)
        warmup = p["warmup"]


def _groups(p: Mapping[str, Any],
            system: str) -> Iterator[tuple[dict[str, Any], list[dict[str, int]]]]:
    """Each group that a trial starts, and the loads that it gets."""
    windows = numbers(p["windows"])
    one_size = [{"bytes": SIZE, "window": w} for w in windows]
    yield dict(BASE), [{"bytes": b, "window": w} for b in numbers(p["sizes"]) for w in windows]
    for nodes in numbers(p["nodes"]):
        if nodes != BASE["nodes"]:
            yield {**BASE, "nodes": nodes}, one_size
    if p["variants"] == "all":
        if system in MODULES:
            yield {**BASE, "transport": "grpc"}, one_size
        yield {**BASE, "durability": "none"}, one_size


def _words(group_point: Mapping[str, Any]) -> str:
    return (f"{group_point['nodes']} nodes, {group_point['transport']}, "
            f"durability {group_point['durability']}")


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    def numbers_of(line: storage_bench.Line) -> dict[str, float | None]:
        found: dict[str, float | None] = {"commit_throughput": line["acks_per_s"],
                                          "failed_writes": float(line["fail"] + line["info"])}
        if line["ok"] > 0:
            found["commit_latency_p50"] = line["response"]["p50_us"]
            found["commit_latency_p99"] = line["response"]["p99_us"]
        return found

    return storage_bench.observe_all(directory, numbers_of)


def draw(run: Run, directory: Path) -> dict[str, str]:
    systems = list(run.state["axes"]["system"])
    windows, sizes = numbers(run.parameters["windows"]), numbers(run.parameters["sizes"])
    nodes = numbers(run.parameters["nodes"])
    base = {key: str(value) for key, value in BASE.items()}

    def over_sizes(metric: str, label: str) -> list[figures.Chart]:
        return [figures.Chart(f"window {w}", "value", label,
                              {s: curve(run, metric, s, "bytes", sizes, window=str(w), **base)
                               for s in systems}) for w in windows]

    names = {float(size): size_name(size) for size in sizes}
    figures.charts(over_sizes("commit_latency_p50", "p50 (us)"), directory / "latency",
                   order=systems, x_names=names)
    figures.charts(over_sizes("commit_throughput", "commits/s"), directory / "throughput",
                   order=systems, x_names=names)
    fixed = {key: word for key, word in base.items() if key != "nodes"} | {"bytes": str(SIZE)}
    figures.charts(
        [figures.Chart(f"window {w}", "nodes", "p50 (us)",
                       {s: curve(run, "commit_latency_p50", s, "nodes", nodes, window=str(w),
                                 **fixed) for s in systems}, log_x=False) for w in windows],
        directory / "nodes", order=systems, x_names={float(n): str(n) for n in nodes})
    return {"latency": _say(run, systems, "commit_latency_p50", "us", windows[0]),
            "throughput": _say(run, systems, "commit_throughput", "commits/s", windows[-1]),
            "nodes": _say_variants(run, systems, windows[0]),
            "verdict": _say_verdict(run, windows)}


def _at(run: Run, metric: str, system: str, window: int, **more: str) -> Any:
    point = {key: str(value) for key, value in BASE.items()}
    return run.estimate(metric, system, **{**point, "bytes": str(SIZE), "window": str(window),
                                           **more})


def _say(run: Run, systems: list[str], metric: str, unit: str, window: int) -> str:
    found = {s: e for s in systems if (e := _at(run, metric, s, window)) is not None}
    absent = [s for s in systems if s not in found]
    words = ", ".join(f"{s} {number(e.median)}" for s, e in found.items())
    lacking = f" Not measured here: {', '.join(absent)}." if absent else ""
    return f"{size_name(SIZE)}, three nodes, window {window}, in {unit}: {words}.{lacking}"


def _say_variants(run: Run, systems: list[str], window: int) -> str:
    said = []
    for key, word in (("transport", "grpc"), ("durability", "none")):
        found = {s: e for s in systems
                 if (e := _at(run, "commit_latency_p50", s, window, **{key: word})) is not None}
        if found:
            words = ", ".join(f"{s} {number(e.median)}" for s, e in found.items())
            said.append(f"With {key} {word} (three nodes, window {window}), p50 in us: {words}.")
    return " ".join(said) or "Only groups with plain TCP and with syncs were measured."


def _say_verdict(run: Run, windows: list[int]) -> str:
    said = []
    for module in MODULES:
        latency = _at(run, "commit_latency_p50", module, windows[0])
        rate = _at(run, "commit_throughput", module, windows[-1])
        for peer in PEERS:
            peer_latency = _at(run, "commit_latency_p50", peer, windows[0])
            peer_rate = _at(run, "commit_throughput", peer, windows[-1])
            if None in (latency, rate, peer_latency, peer_rate):
                continue
            said.append(f"{module} takes {storage_bench.ratio_words(latency, peer_latency)} as "
                        f"long as {peer} (window {windows[0]}) and commits "
                        f"{storage_bench.ratio_words(rate, peer_rate)} as much "
                        f"(window {windows[-1]})")
    return "; ".join(said) + "." if said else "No module and peer were measured beside each other."
