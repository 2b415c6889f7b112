"""The rows of `./qlab bench storage`: what is measured, beside which limit, with which target."""

from __future__ import annotations

import pathlib
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from qlab.bench import programs

KIB, MIB = 1 << 10, 1 << 20

# What one round of one subject gave: key -> number. `value` and `limit` are what the row shows.
Figures = dict[str, float]


@dataclass(frozen=True)
class Settings:
    """How long and where."""

    directory: pathlib.Path
    rounds: int
    seconds: float
    warmup_s: float
    program: pathlib.Path | None = None
    with_fio: bool = True
    cpu: int = -1


@dataclass(frozen=True)
class Target:
    """A bound on a ratio. `at_most` for times, `at_least` for rates."""

    bound: float
    at_most: bool = False

    def is_met(self, ratio: float) -> bool:
        return ratio <= self.bound if self.at_most else ratio >= self.bound

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.bound:g}"


@dataclass(frozen=True)
class Row:
    """One name of the output; a line per subject (an engine or a layout)."""

    name: str
    unit: str
    what: str
    subjects: Callable[[dict[str, list[str]]], list[str]]
    # All rounds of a subject are comparable with those of the limit: they alternate.
    measure: Callable[[Settings, str], Figures]
    limit: Callable[[Settings], Figures] | None
    targets: dict[str, Target] = field(default_factory=dict)  # By subject.


@dataclass
class Line:
    """One subject of a row, over all rounds."""

    name: str
    engine: str
    unit: str
    value: float | None
    limit: float | None
    ratio: float | None
    more: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "engine": self.engine, "value": self.value, "unit": self.unit,
                "limit": self.limit, "ratio": self.ratio, **self.more}


def persistent(known: dict[str, list[str]]) -> list[str]:
    return [name for name in known["engines"] if name not in ("memory", "null")]


def common_flags(settings: Settings, engine: str) -> list[str]:
    return [f"--engine={engine}", f"--dir={settings.directory}", "--preallocation=recycled",
            f"--duration={settings.seconds}", f"--warmup={settings.warmup_s}",
            f"--cpu={settings.cpu}"]


def _append(settings: Settings, engine: str, *flags: str) -> dict[str, Any]:
    words = ["append", *common_flags(settings, engine), *flags]
    return programs.measure(words, program=settings.program)[0]


# --- sync_append_4k ----------------------------------------------------------------------------

def _sync_append_4k(settings: Settings, engine: str) -> Figures:
    line = _append(settings, engine, "--size=4k")
    return {"value": line["latency"]["p50_us"], "p99_us": line["latency"]["p99_us"],
            "cpu_us_per_operation": line["cpu_us_per_operation"],
            "write_amplification_device": line.get("write_amplification_device")}


def _limit_4k(settings: Settings) -> Figures:
    with programs.zero_filled_file(settings.directory, 64 * MIB) as file:
        limit = programs.fio_sync_writes(file, block=4 * KIB, depth=1, runtime_s=settings.seconds,
                                         ramp_s=settings.warmup_s)
    return {"limit": limit.p50_us, "limit_p99_us": limit.p99_us}


ROWS: tuple[Row, ...] = (
    Row("sync_append_4k", "us", "p50 of a durable append of 4 KiB, one in flight", persistent,
        _sync_append_4k, _limit_4k, {"direct": Target(1.15, at_most=True)}),
)


# --- All rounds --------------------------------------------------------------------------------

def run(row: Row, known: dict[str, list[str]], settings: Settings,
        tell: Callable[[str], None]) -> Iterator[Line]:
    """Measures a row: round after round all subjects and the limit, every other round backwards."""
    subjects = row.subjects(known)
    steps: list[str | None] = [*subjects]
    if row.limit is not None and settings.with_fio:
        steps.insert(len(steps) // 2, None)
    found: dict[str | None, list[Figures]] = {step: [] for step in steps}
    why: dict[str | None, str] = {}
    for number in range(settings.rounds):
        for step in steps if number % 2 == 0 else reversed(steps):
            tell(f"{row.name}, round {number + 1}: {step or 'fio'}")
            if step in why:
                continue
            try:
                figures = row.limit(settings) if step is None else row.measure(settings, step)
                found[step].append(figures)
            except programs.BenchError as error:
                why[step] = str(error)
    for subject in subjects:
        yield summarise(row, subject, found[subject], found.get(None, []),
                        why.get(subject) or why.get(None) or _no_limit(row, settings))


def _no_limit(row: Row, settings: Settings) -> str | None:
    if row.limit is None or settings.with_fio:
        return None
    return programs.fio_missing() or "fio was not asked for"


def summarise(row: Row, subject: str, ours: list[Figures], limits: list[Figures],
              reason: str | None) -> Line:
    """Medians over the rounds; the ratio is the median of the rounds' own ratios.

    Within a round both met the same machine; across rounds it may have been busier.
    """
    pairs = [{**limit, **mine} for mine, limit in zip(ours, limits)] if limits else ours
    value = _median([figures["value"] for figures in ours])
    ratios = [pair["value"] / pair["limit"] for pair in pairs if pair.get("limit")]
    ratio = _median(ratios)
    target = row.targets.get(subject)
    more: dict[str, Any] = {
        "rounds": len(ours),
        "value_min": min((f["value"] for f in ours), default=None),
        "value_max": max((f["value"] for f in ours), default=None),
        "ratio_min": min(ratios, default=None), "ratio_max": max(ratios, default=None),
        "target": str(target) if target else None,
        "met": target.is_met(ratio) if target and ratio is not None else None}
    for key in sorted({key for pair in pairs for key in pair} - {"value", "limit"}):
        more[key] = _median([pair[key] for pair in pairs if pair.get(key) is not None])
    if reason:
        more["reason"] = reason
    return Line(row.name, subject, row.unit, value,
                _median([figures["limit"] for figures in limits]), ratio, more)


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None
