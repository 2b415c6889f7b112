"""What preparing a segment's space is worth: the points of a trial, and what the figures say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments import figures, storage_bench
from experiments.definition import numbers, system_of
from experiments.report import Observation, Run, number
from experiments.runner import Trial, Unavailable
from experiments.storage_bench import Recorder, size_name
from harness import faults
from harness.storage.loops import LoopDisk

IMAGE_BYTES = 1 << 30
WRITTEN_BYTES = IMAGE_BYTES * 7 // 10  # Of a fresh image, so that its own file does not grow.
SEGMENT = "16m"


@contextmanager
def _file_system(name: str, scratch: Path) -> Iterator[Path]:
    """A directory on a file system of that kind. Errors: Unavailable, with the reason."""
    if name == "here":
        yield scratch
        return
    try:
        disk = LoopDisk(scratch, name, size=IMAGE_BYTES)
    except faults.Unavailable as reason:
        raise Unavailable(str(reason)) from reason
    with disk, disk.mounted() as path:
        filler = path / "filler"
        with open(filler, "wb", buffering=0) as out:
            for _ in range(WRITTEN_BYTES >> 20):
                out.write(bytes(1 << 20))
        filler.unlink()
        yield path


def run_trial(trial: Trial) -> None:
    p, cell = trial.parameters, trial.cell
    record = Recorder(trial)
    trial.say("making the file system")
    with _file_system(cell["filesystem"], trial.scratch) as directory:
        for size in numbers(p["sizes"]):
            trial.say(f"appends of {size_name(size)}")
            record.add(storage_bench.measure(
                "append", engine=cell["engine"], level="segment", dir=directory, size=size,
                durability="sync", preallocation=cell["preallocation"], prepared_bytes=SEGMENT,
                segment_bytes=SEGMENT, duration=p["seconds"], warmup=0.2, bytes_max="300m",
                seed=trial.seed)[0], size=size)


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    return storage_bench.observe_all(directory, storage_bench.append_numbers)


def draw(run: Run, directory: Path) -> dict[str, str]:
    _chart(run, directory / "latency", "append_latency_us", "p50 (us)", quantile="0.5")
    _chart(run, directory / "tail", "append_latency_us", "p99 (us)", quantile="0.99")
    _chart(run, directory / "amplification", "write_amplification", "bytes written per byte")
    return {"latency": " ".join(_say(run, filesystem)
                                for filesystem in run.state["axes"]["filesystem"]),
            "tail": "The median tells what an append costs, the tail what the preparation of the "
                    "next segment costs those that come meanwhile.",
            "amplification": "Zeros are written once more than the data; a recycled file saves "
                             "the allocation, not the zeros.",
            "verdict": _say_verdict(run)}


def _chart(run: Run, path: Path, metric: str, y_label: str, **params: str) -> None:
    ways = run.state["axes"]["preallocation"]
    engines = run.state["axes"]["engine"]
    panels = []
    for filesystem in run.state["axes"]["filesystem"]:
        for size in numbers(run.parameters["sizes"]):
            curves = {}
            for engine in engines:
                found = [(float(at), run.estimate(metric, _system(filesystem, engine, way),
                                                  size=str(size), **params))
                         for at, way in enumerate(ways)]
                curves[engine] = [(at, e) for at, e in found if e is not None]
            if any(curves.values()):
                panels.append(figures.Chart(f"{filesystem}, {size_name(size)}", "preallocation",
                                            y_label, curves, log_x=False, log_y=False,
                                            joined=False))
    figures.charts(panels, path, columns=2, order=engines,
                   x_names={float(at): way for at, way in enumerate(ways)})


def _system(filesystem: str, engine: str, way: str) -> str:
    return system_of({"filesystem": filesystem, "engine": engine, "preallocation": way})


def _say(run: Run, filesystem: str) -> str:
    """`On ext4 zeros make a 4 KiB append of direct take 0.4 times (0.3 to 0.5) as long as none.`"""
    size = str(numbers(run.parameters["sizes"])[0])
    said = []
    for engine in run.state["axes"]["engine"]:
        found = {way: run.estimate("append_latency_us", _system(filesystem, engine, way), size=size,
                                   quantile="0.5") for way in run.state["axes"]["preallocation"]}
        plain = found.get("none")
        if plain is None:
            continue
        words = [f"{way} {storage_bench.ratio_words(estimate, plain)}"
                 for way, estimate in found.items() if way != "none" and estimate is not None]
        said.append(f"{engine}: {', '.join(words)}")
    if not said:
        return ""
    return (f"On {filesystem}, {size_name(int(size))}, as long as without preallocation: "
            f"{'; '.join(said)}.")


def _say_verdict(run: Run) -> str:
    size = str(numbers(run.parameters["sizes"])[0])
    best = []
    for filesystem in run.state["axes"]["filesystem"]:
        found = {}
        for engine in run.state["axes"]["engine"]:
            for way in run.state["axes"]["preallocation"]:
                system = _system(filesystem, engine, way)
                estimate = run.estimate("append_latency_us", system, size=size, quantile="0.5")
                if estimate is not None:
                    found[f"{engine} with {way}"] = estimate.median
        if found:
            name = min(found, key=lambda key: found[key])
            best.append(f"{name} on {filesystem} ({number(found[name])} us)")
    return f"Least median of a durable {size_name(int(size))}: {', '.join(best)}."
