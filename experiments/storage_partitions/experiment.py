"""What one more partition costs: the points of a trial, and what the figures say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import figures, storage_bench
from experiments.definition import numbers
from experiments.report import Observation, Run, number
from experiments.runner import Trial, Unavailable
from experiments.storage_bench import Line, Recorder, curve

MIB = 1 << 20

# What an active log of layout per_partition takes of the file system: its directory, and in it
# partition.metadata, a segment and the durable mark, a block each.
INODES_PER_LOG, BYTES_PER_LOG = 4, 16 << 10
BYTES_SPARE = 4 << 30  # What the appends of a point may take besides, and what others need.


def run_trial(trial: Trial) -> None:
    p, layout = trial.parameters, trial.cell["layout"]
    files = layout == "per_partition"
    points = numbers(p["partitions"])
    if files:
        require_room(trial.scratch, min(max(points), p["active_max"]))
    engine = p["per_partition_engine"] if files else p["engine"]
    record = Recorder(trial)
    for partitions in points:
        trial.say(f"{number(partitions)} partitions")
        for line in storage_bench.measure(
                "partitions", engine=engine, layout=layout, partitions=partitions,
                active=min(partitions, p["active_max"]), recovery_parallelism=256,
                dir=trial.scratch, size=p["size"], concurrency=p["concurrency"],
                durability="sync", group_sync="filesystem", duration=p["seconds"], warmup=0.5,
                seed=trial.seed):
            record.add(line, partitions=partitions)


def require_room(directory: Path, logs: int) -> None:
    """Errors: Unavailable, when the file system has too few inodes or bytes for so many logs."""
    at = os.statvfs(directory)
    inodes, room = logs * INODES_PER_LOG, logs * BYTES_PER_LOG + BYTES_SPARE
    if at.f_files and at.f_favail < inodes:  # Some file systems make inodes as they go.
        raise Unavailable(f"{directory}: {at.f_favail} inodes are free, and {logs} partitions with "
                          f"files of their own take {inodes}")
    if at.f_bavail * at.f_frsize < room:
        raise Unavailable(f"{directory}: {at.f_bavail * at.f_frsize / MIB:.0f} MiB are free, and "
                          f"{logs} partitions with files of their own take {room / MIB:.0f}")


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    return storage_bench.observe_all(directory, _numbers)


def _numbers(line: Line) -> dict[str, float | None]:
    if line["bench"] == "partitions_recovery":
        return {"recovery_s": line["elapsed_s"], "files": line["files"]}
    grown = line["kernel_slab_bytes"] - line["before"]["kernel_slab_bytes"]
    return {"append_rate": line["operations_per_s"],
            "append_latency_us:quantile=0.5": line["latency"]["p50_us"],
            "append_latency_us:quantile=0.99": line["latency"]["p99_us"],
            "create_s": line["creation"]["elapsed_s"],
            "first_append_s": line["first_appends"]["elapsed_s"],
            "memory_mib": line["rss_bytes"] / MIB,
            "kernel_memory_mib": grown / MIB,
            "descriptors": line["descriptors"]}


def draw(run: Run, directory: Path) -> dict[str, str]:
    def chart(title: str, unit: str, metric: str, **params: str) -> figures.Chart:
        counts = numbers(run.parameters["partitions"])
        return figures.Chart(title, "partitions", unit,
                             {layout: curve(run, metric, layout, "partitions", counts, **params)
                              for layout in run.state["axes"]["layout"]})

    layouts = run.state["axes"]["layout"]
    figures.charts([chart("durable appends", "appends/s", "append_rate"),
                    chart("latency", "p50 (us)", "append_latency_us", quantile="0.5"),
                    chart("latency", "p99 (us)", "append_latency_us", quantile="0.99")],
                   directory / "appends", order=layouts)
    figures.charts([chart("memory of the process", "MiB", "memory_mib"),
                    chart("files", "files", "files"),
                    chart("open descriptors", "files", "descriptors")],
                   directory / "memory", order=layouts)
    figures.charts([chart("opening them, new", "s", "create_s"),
                    chart("the first record in each active one", "s", "first_append_s"),
                    chart("recovery after SIGKILL", "s", "recovery_s")],
                   directory / "recovery", order=layouts)
    return {"appends": _say(run, "append_rate", "appends/s"),
            "memory": _say(run, "memory_mib", "MiB"), "recovery": _say(run, "recovery_s", "s"),
            "verdict": _say_verdict(run)}


def _reach(run: Run, metric: str, layout: str) -> list[tuple[float, Any]]:
    """The metric at the fewest and at the most partitions that were measured."""
    points = curve(run, metric, layout, "partitions", numbers(run.parameters["partitions"]))
    return [points[0], points[-1]] if points else []


def _say(run: Run, metric: str, unit: str) -> str:
    said = []
    for layout in run.state["axes"]["layout"]:
        words = [f"{storage_bench.interval(e, unit)} with {number(n)}"
                 for n, e in _reach(run, metric, layout)]
        if words:
            said.append(f"{layout}: {' and '.join(words)}")
    return f"{'; '.join(said)} partitions." if said else ""


def _say_verdict(run: Run) -> str:
    said = []
    for layout in run.state["axes"]["layout"]:
        ends = _reach(run, "append_rate", layout)
        if len(ends) == 2 and ends[0][0] != ends[1][0]:
            few, many = ends
            said.append(f"with {number(many[0])} partitions {layout} reaches "
                        f"{storage_bench.ratio_words(many[1], few[1])} the rate of "
                        f"{number(few[0])}")
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
