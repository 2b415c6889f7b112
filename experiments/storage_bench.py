"""What the storage experiments share: a trial is many measurements by qlab-bench-storage, a line
each in `measurements.jsonl`, beside what fio reaches on the same file system."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments import histogram, stats
from experiments.raw_data import lines
from experiments.report import Observation, Run, number
from experiments.runner import Trial, Unavailable
from qlab.bench import programs

FIO = "fio"
"""The system that is the limit: O_DIRECT, O_DSYNC, overwriting a zero-filled file."""
FILE_NAME = "measurements.jsonl"
FILE_BYTES = 64 << 20  # Of fio's file.

Line = dict[str, Any]


class Recorder:
    """Writes a trial's lines as they come, so that a trial that fails keeps what it has."""

    def __init__(self, trial: Trial) -> None:
        self._path = trial.directory / f"{FILE_NAME}.gz"

    def add(self, line: Line, **point: Any) -> None:
        """`point`: where in the trial's own matrix the line stands."""
        with gzip.open(self._path, "at", encoding="utf-8") as out:
            out.write(json.dumps({"point": {k: str(v) for k, v in point.items()}, **line}) + "\n")


def flags(mode: str, **values: Any) -> list[str]:
    """A command line of qlab-bench-storage; flags are named as its own, with _ for -."""
    return [mode, *(f"--{name.replace('_', '-')}={value}" for name, value in values.items())]


def measure(mode: str, **values: Any) -> list[Line]:
    """Errors: programs.BenchError; Unavailable, when this machine refuses the engine."""
    try:
        return programs.measure(flags(mode, **values))
    except programs.BenchError as error:
        if "unsupported" in str(error):
            raise Unavailable(str(error)) from error
        raise


def fio_writes(directory: Path, *, size: int, depth: int, seconds: float) -> Line:
    """The limit, in the words of our own lines. Errors: Unavailable, when fio is not installed."""
    if (missing := programs.fio_missing()) is not None:
        raise Unavailable(missing)
    with programs.zero_filled_file(directory, max(FILE_BYTES, size * 16)) as file:
        found = programs.fio_sync_writes(file, block=size, depth=depth, runtime_s=seconds,
                                         ramp_s=0.3)
    return {"bench": FIO, "command": found.command, "operations_per_s": found.operations_per_s,
            "bytes_per_s": found.bytes_per_s,
            "latency": {"p50_us": found.p50_us, "p99_us": found.p99_us}}


def fio_read(directory: Path, *, size: int) -> Line:
    """How fast a file of `size` bytes is read from front to end, its pages dropped before.
    Errors: Unavailable."""
    if (missing := programs.fio_missing()) is not None:
        raise Unavailable(missing)
    with programs.zero_filled_file(directory, size) as file:
        found = programs.fio_sequential_read(file, block=1 << 20, depth=4, direct=True)
    return {"bench": FIO, "command": found.command, "bytes_per_s": found.bytes_per_s,
            "elapsed_s": size / found.bytes_per_s}


def shuffled(points: Iterable[Mapping[str, Any]], seed: int) -> list[dict[str, Any]]:
    """The points of a trial in an order of their own, so that a drift favours none."""
    order = [dict(point) for point in points]
    random.Random(seed).shuffle(order)
    return order


def read(directory: Path) -> list[Line]:
    """Errors: OSError, ValueError when the file is missing or damaged."""
    return list(lines(directory / FILE_NAME))


def observe_all(directory: Path,
                numbers_of: Callable[[Line], Mapping[str, float | None]]) -> list[Observation]:
    """An observation for each number that a line gives, under the line's point. A key of
    `numbers_of` may add to it: `append_latency_us:quantile=0.5`."""
    found = []
    for line in read(directory):
        for name, value in numbers_of(line).items():
            metric, _, more = name.partition(":")
            params = dict(line["point"])
            if more:
                key, _, word = more.partition("=")
                params[key] = word
            found.append(Observation(metric, value, params))
    return found


def append_numbers(line: Line) -> dict[str, float | None]:
    """Of a line of mode append, or of fio's. Nothing of one that came to its bound of bytes before
    its warm-up was over."""
    if line.get("operations") == 0:
        return {}
    latency = line["latency"]
    return {"append_latency_us:quantile=0.5": latency["p50_us"],
            "append_latency_us:quantile=0.99": latency["p99_us"],
            "append_latency_us:quantile=0.999": latency.get("p999_us"),
            "append_rate": line["operations_per_s"],
            "append_bandwidth": line["bytes_per_s"] / 1e6,
            "cpu_per_append_us": line.get("cpu_us_per_operation"),
            "write_amplification": line.get("write_amplification_device")}


def distribution(line: Line) -> tuple[np.ndarray, np.ndarray]:
    """Latencies in us, and the share of operations that took at most that."""
    found = histogram.decode(line["latency"]["histogram"])
    at = np.flatnonzero(found.counts)
    return found.upper_ends()[at] / 1e3, np.cumsum(found.counts[at]) / max(found.count, 1)


def curve(run: Run, metric: str, system: str, over: str, values: Sequence[int],
          **params: str) -> list[tuple[float, stats.Estimate]]:
    """A metric of a system over one of its parameters, where it was measured."""
    return [(float(value), estimate) for value in values
            if (estimate := run.estimate(metric, system, **params, **{over: str(value)}))
            is not None]


def size_name(size: float) -> str:
    for bound, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= bound:
            return f"{size / bound:g} {unit}"
    return f"{size:g} B"


def interval(estimate: stats.Estimate, unit: str) -> str:
    if estimate.ci_low is None:
        return f"{number(estimate.median)} {unit} (one trial, no interval)"
    return (f"{number(estimate.median)} {unit} (95 % CI {number(estimate.ci_low)} to "
            f"{number(estimate.ci_high)})")


def ratio_words(one: stats.Estimate, other: stats.Estimate) -> str:
    """`1.1 times (0.9 to 1.3)`: the ratio of two medians, and how far their intervals let it be."""
    ratio = one.median / other.median
    if None in (one.ci_low, one.ci_high, other.ci_low, other.ci_high):
        return f"{number(ratio)} times"
    low, high = one.ci_low / other.ci_high, one.ci_high / other.ci_low
    return f"{number(ratio)} times ({number(low)} to {number(high)})"
