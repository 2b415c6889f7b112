"""What an append costs: the points of a trial, and what the figures say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import figures, storage_bench
from experiments.definition import numbers
from experiments.report import Observation, Run, number
from experiments.runner import Trial
from experiments.storage_bench import FIO, Recorder, curve, size_name

DURABILITIES = ("none", "group", "sync")


def run_trial(trial: Trial) -> None:
    p, engine = trial.parameters, trial.cell["engine"]
    record = Recorder(trial)
    durabilities = ("sync",) if engine == FIO else DURABILITIES
    points = [{"size": size, "concurrency": concurrency, "durability": durability}
              for size in numbers(p["sizes"]) for concurrency in numbers(p["concurrencies"])
              for durability in durabilities]
    for number_, point in enumerate(storage_bench.shuffled(points, trial.seed), 1):
        trial.say(f"point {number_} of {len(points)}")
        record.add(_measure(trial, engine, point), **point)


def _measure(trial: Trial, engine: str, point: Mapping[str, Any]) -> dict[str, Any]:
    p = trial.parameters
    if engine == FIO:
        return storage_bench.fio_writes(trial.scratch, size=point["size"],
                                        depth=point["concurrency"], seconds=p["seconds"])
    return storage_bench.measure(
        "append", engine=engine, level="log", dir=trial.scratch, size=point["size"],
        concurrency=point["concurrency"], durability=point["durability"], preallocation="zeros",
        duration=p["seconds"], warmup=0.2, bytes_max=f"{p['megabytes']}m", seed=trial.seed)[0]


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    return storage_bench.observe_all(directory, storage_bench.append_numbers)


def draw(run: Run, directory: Path) -> dict[str, str]:
    engines = list(run.state["axes"]["engine"])
    sizes = numbers(run.parameters["sizes"])
    concurrencies = numbers(run.parameters["concurrencies"])
    figures.charts(
        [figures.Chart(f"{c} in flight", "batch", "p50 (us)",
                       {e: curve(run, "append_latency_us", e, "size", sizes, concurrency=str(c),
                                 durability="sync", quantile="0.5") for e in engines})
         for c in concurrencies],
        directory / "latency", order=engines, x_names={s: size_name(s) for s in sizes})
    figures.distributions(
        [figures.Distribution(f"{size_name(s)}, {c} in flight", _distributions(run, engines, s, c))
         for c in concurrencies for s in sizes],
        directory / "distribution", x_label="latency (us)", columns=4, order=engines)
    steps = dict(enumerate(DURABILITIES, 1))
    figures.charts(
        [figures.Chart(f"{c} in flight, {size_name(sizes[0])}", "durability", "appends/s",
                       {e: _over_durability(run, e, sizes[0], c, steps) for e in engines
                        if e != FIO}, log_x=False, joined=False) for c in concurrencies],
        directory / "durability", order=engines,
        x_names={float(at): word for at, word in steps.items()})
    figures.charts(
        [figures.Chart(f"{c} in flight", "batch", "CPU per append (us)",
                       {e: curve(run, "cpu_per_append_us", e, "size", sizes, concurrency=str(c),
                                 durability="sync") for e in engines if e != FIO})
         for c in concurrencies],
        directory / "cpu", order=engines, x_names={s: size_name(s) for s in sizes})
    return {"latency": _say_latency(run, engines, sizes, concurrencies),
            "distribution": "A step to the right of the others is a tail: an append that waited "
                            "for a flush that was under way, or for the machine.",
            "durability": "With durability none an append costs what it costs to copy it; with "
                          "sync it costs a flush of the disk, which many appends can share.",
            "cpu": "Waiting costs no CPU: what differs is the way into the kernel.",
            "verdict": _say_verdict(run, engines, sizes, concurrencies)}


def _distributions(run: Run, engines: list[str], size: int, concurrency: int) -> dict[str, Any]:
    wanted = {"size": str(size), "concurrency": str(concurrency), "durability": "sync"}
    curves: dict[str, Any] = {engine: [] for engine in engines if engine != FIO}
    for trial in run.trials:
        if trial.system in curves:
            curves[trial.system] += [storage_bench.distribution(line)
                                     for line in storage_bench.read(trial.directory)
                                     if line["point"] == wanted]
    return curves


def _over_durability(run: Run, engine: str, size: int, concurrency: int,
                     steps: Mapping[int, str]) -> list[Any]:
    return [(float(at), estimate) for at, word in steps.items()
            if (estimate := run.estimate("append_rate", engine, size=str(size),
                                         concurrency=str(concurrency), durability=word))
            is not None]


def _say_latency(run: Run, engines: list[str], sizes: list[int],
                 concurrencies: list[int]) -> str:
    said = []
    for size in (sizes[0], sizes[-1]):
        point = {"size": str(size), "concurrency": str(concurrencies[0]), "durability": "sync",
                 "quantile": "0.5"}
        found = {e: estimate for e in engines
                 if (estimate := run.estimate("append_latency_us", e, **point)) is not None}
        words = ", ".join(f"{e} {number(estimate.median)}" for e, estimate in found.items())
        said.append(f"{size_name(size)}, one in flight, p50 in us: {words}.")
    return " ".join(said)


def _say_verdict(run: Run, engines: list[str], sizes: list[int],
                 concurrencies: list[int]) -> str:
    point = {"size": str(sizes[0]), "concurrency": str(concurrencies[0]), "durability": "sync",
             "quantile": "0.5"}
    limit = run.estimate("append_latency_us", FIO, **point)
    if limit is None:
        return "fio was not measured, so the limit is missing."
    said = [f"{engine} takes {storage_bench.ratio_words(estimate, limit)} as long"
            for engine in engines if engine not in (FIO, "null", "memory")
            and (estimate := run.estimate("append_latency_us", engine, **point)) is not None]
    return (f"fio makes a block of {size_name(sizes[0])} durable in "
            f"{storage_bench.interval(limit, 'us')}. A durable append of that size: "
            f"{'; '.join(said)}.")
