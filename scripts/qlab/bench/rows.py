"""The rows of `./qlab bench storage`: what is measured, beside which limit, with which target."""

from __future__ import annotations

import math
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from qlab.bench import programs

KIB, MIB = 1 << 10, 1 << 20

# What one round of one subject gave: key -> number. `value` and `limit` are what the row shows.
Figures = dict[str, float]
# By the number of the round: a round that failed for one is no round of the other.
Rounds = dict[int, Figures]


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
    scan_bytes: int = 1024 * MIB


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
    targets: dict[str, Target] = field(default_factory=dict)  # Of the ratio, by subject.
    # Of other figures; every subject that has a target is held against them too.
    bounds: dict[str, Target] = field(default_factory=dict)
    rounds_max: int = 100
    needs_fio: bool = True  # For its limit.


@dataclass
class Line:
    """One subject of a row, over all rounds."""

    name: str
    engine: str | None
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


# --- sync_append_4k, sync_append_1m -------------------------------------------------------------

def _limit_file(settings: Settings, size: int) -> pathlib.Path:
    """A file of zeros that all rounds overwrite; it goes with the directory."""
    path = settings.directory / f"limit-{size}"
    if not path.exists():
        programs.write_zeros(path, size)
    return path


def _sync_append_4k(settings: Settings, engine: str) -> Figures:
    line = _append(settings, engine, "--size=4k", "--settle=0.3")
    return {"value": line["latency"]["p50_us"], "p99_us": line["latency"]["p99_us"], **_cost(line)}


def _limit_4k(settings: Settings) -> Figures:
    limit = programs.fio_sync_writes(_limit_file(settings, 64 * MIB), block=4 * KIB, depth=1,
                                     runtime_s=settings.seconds, ramp_s=settings.warmup_s)
    return {"limit": limit.p50_us, "limit_p99_us": limit.p99_us}


# So many are under way: what the reference disk needs for its full bandwidth.
DEPTH_1M = 4
# What is measured are appends into one prepared segment: preparing the next one takes as much of
# the disk as filling it, and would be measured by the chance of when it happens.
_REST_S = 1.5
_ONE_SEGMENT = ["--segment-bytes=1g", "--prepared-bytes=1g", "--bytes-max=1000m", "--spares=1",
                f"--settle={_REST_S}"]


def _sync_append_1m(settings: Settings, engine: str) -> Figures:
    line = _append(settings, engine, "--size=1m", f"--concurrency={DEPTH_1M}", "--warmup=0.02",
                   *_ONE_SEGMENT)
    return {"value": line["bytes_per_s"] / 1e6, "depth": DEPTH_1M,
            "p50_us": line["latency"]["p50_us"], **_cost(line)}


def _limit_1m(settings: Settings) -> Figures:
    # As many bytes after as long a rest: a disk takes a burst faster than it goes on.
    file = _limit_file(settings, 1024 * MIB)
    time.sleep(_REST_S)
    limit = programs.fio_sync_writes(file, block=MIB, depth=DEPTH_1M, total=1000 * MIB)
    return {"limit": limit.bytes_per_s / 1e6, "limit_p50_us": limit.p50_us}


def _cost(line: dict[str, Any]) -> Figures:
    own_s = line["cpu_user_s"] + line["cpu_system_s"]
    cpu_s = line["elapsed_s"] * (os.cpu_count() or 1)
    found = {key: line[key] for key in ("cpu_us_per_operation", "write_amplification_device",
                                        "rss_peak_bytes") if line.get(key) is not None}
    return {**found, "other_cpu_share": max(0.0, line["machine_busy_s"] - own_s) / cpu_s}


# --- group_commit_64x1k -------------------------------------------------------------------------

APPENDERS = 64


def _group_commit(settings: Settings, engine: str) -> Figures:
    """Against threads that each sync for themselves, and against fio at the size that resulted."""
    line = _append(settings, engine, "--size=1k", f"--concurrency={APPENDERS}", *_ONE_SEGMENT)
    rate = line["operations_per_s"]
    found: Figures = {"value": rate, "p50_us": line["latency"]["p50_us"], **_cost(line)}
    for path, key in (("fdatasync", ""), ("direct", "_direct")):
        threads = programs.measure(
            ["threads", f"--path={path}", "--size=1k", f"--concurrency={APPENDERS}",
             f"--dir={settings.directory}", "--bytes=64m", f"--duration={settings.seconds / 2}",
             f"--warmup={settings.warmup_s}"], program=settings.program)[0]
        found[f"limit_threads{key}"] = threads["operations_per_s"]
        found[f"ratio_threads{key}"] = rate / threads["operations_per_s"]
    if settings.with_fio:
        found.update(_limit_group(settings, engine, line))
    return found


def resulting_shape(engine: str, line: dict[str, Any]) -> tuple[int, int]:
    """(block, depth) of the durable steps of a run of group commit.

    A step is a write where each write is durable by itself (direct), else a sync: the device
    counts one flush for it. What is in flight altogether is one append per appender.
    """
    steps = line["device_writes"] if engine == "direct" else line["device_flushes"]
    bytes_per_step = line["bytes"] / max(1, steps)
    block = max(1, math.ceil(bytes_per_step / (4 * KIB))) * 4 * KIB
    in_flight = APPENDERS * KIB
    depth = max(1, round(in_flight / bytes_per_step)) if engine == "direct" else 1
    return min(block, in_flight), depth


def _limit_group(settings: Settings, engine: str, line: dict[str, Any]) -> Figures:
    if line.get("device") is None:
        return {}
    block, depth = resulting_shape(engine, line)
    limit = programs.fio_sync_writes(_limit_file(settings, 64 * MIB), block=block, depth=depth,
                                     runtime_s=settings.seconds, ramp_s=settings.warmup_s)
    # In records per second, as the value is.
    return {"limit": limit.bytes_per_s / KIB, "block": block, "depth": depth,
            "bytes_per_s": line["bytes_per_s"], "limit_bytes_per_s": limit.bytes_per_s}


# --- recovery_scan ------------------------------------------------------------------------------

def _recovery_scan(settings: Settings, engine: str) -> Figures:
    """A killed log, scanned by its recovery and read by fio; before each its pages are dropped.

    Recovery reads past the page cache whatever the engine, and so does the fio that it is held
    against; fio through the page cache stands beside it. The first read of fresh bytes warms
    whatever lies below this machine and is not counted.
    """
    with tempfile.TemporaryDirectory(prefix="scan-", dir=settings.directory) as scratch:
        flags = ["recovery", f"--engine={engine}", f"--dir={scratch}", "--segment-bytes=1g",
                 f"--bytes={settings.scan_bytes}", "--size=64k", f"--cpu={settings.cpu}"]
        programs.measure([*flags, "--stage=fill"], program=settings.program, kills_itself=True)
        file = max(pathlib.Path(scratch).rglob("*.log"), key=lambda path: path.stat().st_size)
        # fio too reads what the log holds, and not the space that is prepared behind its end.
        found: Figures = {}
        if settings.with_fio:
            for _ in range(2):
                reads = {direct: _scan_limit(file, settings, direct) for direct in (True, False)}
            found = {"limit": reads[True] / 1e6, "limit_page_cache": reads[False] / 1e6}
        line = programs.measure([*flags, "--stage=recover"], program=settings.program)[0]
    return {"value": line["scan_bytes_per_s"] / 1e6, "recovery_s": line["elapsed_s"],
            "bytes": line["bytes_scanned"], "rss_peak_bytes": line["rss_peak_bytes"],
            "bytes_cached_before": line["file_bytes_cached_before"], **found}


def _scan_limit(file: pathlib.Path, settings: Settings, direct: bool) -> float:
    return programs.fio_sequential_read(file, size=settings.scan_bytes, block=MIB, depth=4,
                                        direct=direct).bytes_per_s


# --- shared_1m_streams --------------------------------------------------------------------------

STREAMS = 1_000_000
STREAM_APPENDERS = 512


def _best_engine(known: dict[str, list[str]]) -> list[str]:
    if "shared" not in known["layouts"]:
        return []
    return [name for name in ("direct", "uring", "buffered") if name in known["engines"]][:1]


def _shared_streams(settings: Settings, engine: str) -> Figures:
    """A million partitions, against one; both on the layout `shared`.

    Every partition gets its first record before the measurement: with it the log writes a frame
    that makes the partition, which a partition in use does not pay for again. Which partition is
    next is known some appends ahead, and the program's own handle of it is fetched meanwhile: how
    the bench finds a partition among a million is not the storage's cost.
    """
    flags = ["partitions", "--layout=shared", *common_flags(settings, engine), "--size=1k",
             f"--concurrency={STREAM_APPENDERS}"]
    one = programs.measure([*flags, "--partitions=1"], program=settings.program)
    many, recovered = programs.measure([*flags, f"--partitions={STREAMS}", f"--active={STREAMS}"],
                                       program=settings.program)
    return {"value": many["operations_per_s"], "limit": one[0]["operations_per_s"],
            "partitions": STREAMS, "rss_peak_bytes": many["rss_peak_bytes"],
            "descriptors": max(many["descriptors"], recovered["descriptors"]),
            "creation_s": many["creation"]["elapsed_s"],
            "first_appends_s": many["first_appends"]["elapsed_s"],
            "recovery_s": recovered["elapsed_s"],
            "recovery_bytes_scanned": recovered["bytes_scanned"], "files": recovered["files"],
            "recovery_rss_peak_bytes": recovered["rss_peak_bytes"],
            "p50_us": many["latency"]["p50_us"], "cpu_us_per_operation":
            many["cpu_us_per_operation"]}


# --- append_path_1k, crc32c_64k -----------------------------------------------------------------

def _micro(name: str, engine: str | None) -> Callable[[Settings, str], Figures]:
    def measure(settings: Settings, subject: str) -> Figures:
        for line in programs.micro(name):
            if line["name"] == name and (engine is None or line["engine"] == engine):
                return {"value": line["value"], "limit": line["limit"]}
        raise programs.BenchError(f"{programs.MICRO} has no {name}")
    return measure


ROWS: tuple[Row, ...] = (
    Row("sync_append_4k", "us", "p50 of a durable append of 4 KiB, one in flight", persistent,
        _sync_append_4k, _limit_4k, {"direct": Target(1.15, at_most=True)}),
    Row("sync_append_1m", "MB/s", f"durable appends of 1 MiB, {DEPTH_1M} in flight", persistent,
        _sync_append_1m, _limit_1m, {"direct": Target(0.9)}),
    Row("group_commit_64x1k", "records/s", "64 appenders of 1 KiB on one reactor", persistent,
        _group_commit, None, {"direct": Target(0.8)},
        bounds={"ratio_threads": Target(4)}),
    Row("append_path_1k", "ns", "a batch of 1 KiB above the engine memory",
        lambda known: ["memory"], _micro("append_path_1k", "memory"), None,
        {"memory": Target(1, at_most=True)}, rounds_max=1, needs_fio=False),
    Row("crc32c_64k", "GB/s", "CRC-32C of 64 KiB", lambda known: [""], _micro("crc32c_64k", None),
        None, {"": Target(1)}, rounds_max=1, needs_fio=False),
    Row("recovery_scan", "MB/s", "recovery's scan of a killed log, checksums included", persistent,
        _recovery_scan, None, {name: Target(0.85) for name in
                               ("buffered", "mmap", "uring", "direct")}),
    Row("shared_1m_streams", "records/s", "durable appends of 1 KiB over a million partitions",
        _best_engine, _shared_streams, None, {name: Target(0.7) for name in
                                              ("direct", "uring", "buffered")},
        bounds={"rss_peak_bytes": Target(2 * 1024 * MIB, at_most=True),
                "recovery_s": Target(2, at_most=True), "descriptors": Target(100, at_most=True)},
        rounds_max=3, needs_fio=False),
)


# --- All rounds --------------------------------------------------------------------------------

# Of a subject that is held against no target.
ROUNDS_WITHOUT_TARGET_MAX = 3


def run(row: Row, known: dict[str, list[str]], settings: Settings,
        tell: Callable[[str], None]) -> Iterator[Line]:
    """Measures a row: round after round all subjects and the limit, every other round backwards.

    Subjects without a target sit the later rounds out, or a run would take twice as long.
    """
    subjects = row.subjects(known)
    if not subjects:
        yield Line(row.name, None, row.unit, None, None, None,
                   {"met": None, "reason": f"not in this build, which has {known}"})
        return
    steps: list[str | None] = [*subjects]
    if row.limit is not None and settings.with_fio:
        steps.insert(len(steps) // 2, None)
    found: dict[str | None, Rounds] = {step: {} for step in steps}
    why: dict[str | None, str] = {}
    for number in range(min(settings.rounds, row.rounds_max)):
        for step in steps if number % 2 == 0 else reversed(steps):
            has_target = step is None or step in row.targets
            if step in why or not (has_target or number < ROUNDS_WITHOUT_TARGET_MAX):
                continue
            tell(f"{row.name}, round {number + 1}: {step or 'fio'}")
            try:
                figures = row.limit(settings) if step is None else row.measure(settings, step)
                found[step][number] = figures
            except programs.BenchError as error:
                why[step] = str(error)
    for subject in subjects:
        yield summarise(row, subject, found[subject], found.get(None, {}),
                        why.get(subject) or why.get(None) or _no_limit(row, settings))


def _no_limit(row: Row, settings: Settings) -> str | None:
    if settings.with_fio or not row.needs_fio:
        return None
    return programs.fio_missing() or "fio was not asked for"


def summarise(row: Row, subject: str, ours: Rounds, limits: Rounds, reason: str | None) -> Line:
    """Medians over the rounds; the ratio is the median of the rounds' own ratios.

    Within a round both met the same machine; across rounds it may have been busier.
    """
    pairs = ([{**limits[number], **mine} for number, mine in ours.items() if number in limits]
             if limits else list(ours.values()))
    value = _median([figures["value"] for figures in ours.values()])
    ratios = [pair["value"] / pair["limit"] for pair in pairs if pair.get("limit")]
    ratio = _median(ratios)
    target = row.targets.get(subject)
    more: dict[str, Any] = {
        "rounds": len(ours),
        "value_min": min((f["value"] for f in ours.values()), default=None),
        "value_max": max((f["value"] for f in ours.values()), default=None),
        "ratio_min": min(ratios, default=None), "ratio_max": max(ratios, default=None),
        "target": str(target) if target else None,
        "met": None}
    for key in sorted({key for pair in pairs for key in pair} - {"value", "limit"}):
        more[key] = _median([pair[key] for pair in pairs if pair.get(key) is not None])
    if target and ratio is not None:
        missed = [f"{key}: {more[key]:g} is not {bound}" for key, bound in row.bounds.items()
                  if more.get(key) is not None and not bound.is_met(more[key])]
        more["met"] = target.is_met(ratio) and not missed
        reason = reason or "; ".join(missed)
    if reason:
        more["reason"] = reason
    limit = _median([pair["limit"] for pair in pairs if pair.get("limit") is not None]
                    or [figures["limit"] for figures in limits.values()])
    return Line(row.name, subject or None, row.unit, value, limit, ratio, more)


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None
