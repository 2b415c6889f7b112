"""What recovery costs: the points of a trial, and what the figures say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import figures, storage_bench
from experiments.definition import numbers
from experiments.report import Observation, Run, number
from experiments.runner import Trial
from experiments.storage_bench import FIO, Line, Recorder, curve

ENDS = ("killed", "clean")
MIB = 1 << 20
PHASE_MIN_S = 1e-4


def run_trial(trial: Trial) -> None:
    p, cell = trial.parameters, trial.cell
    record = Recorder(trial)
    for megabytes in numbers(p["megabytes"]):
        for end in ENDS:
            trial.say(f"{megabytes} MiB, {end}")
            for line in storage_bench.measure(
                    "recovery", engine=cell["engine"], layout=cell["layout"], dir=trial.scratch,
                    bytes=f"{megabytes}m", size="16k", concurrency=4, end=end, cold="machine",
                    seed=trial.seed):
                record.add(line, megabytes=megabytes, end=end)
        trial.say(f"{megabytes} MiB, fio")
        record.add(storage_bench.fio_read(trial.scratch, size=megabytes * MIB),
                   megabytes=megabytes)


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    return storage_bench.observe_all(directory, _numbers)


def _numbers(line: Line) -> dict[str, float | None]:
    if line["bench"] == FIO:
        return {"limit_s": line["elapsed_s"]}
    rate = line["scan_bytes_per_s"]
    phases = {f"phase_s:phase={name}": seconds for name, seconds in line["phases_s"].items()}
    return {"recovery_s": line["elapsed_s"], "bytes_scanned": line["bytes_scanned"],
            "scan_bandwidth": None if rate is None else rate / 1e6, **phases}


def draw(run: Run, directory: Path) -> dict[str, str]:
    sizes = numbers(run.parameters["megabytes"])
    engines = run.state["axes"]["engine"]
    panels = []
    for layout in run.state["axes"]["layout"]:
        limit = curve(run, "limit_s", f"{layout}/{engines[0]}", "megabytes", sizes)
        for end in ENDS:
            curves = {engine: curve(run, "recovery_s", f"{layout}/{engine}", "megabytes", sizes,
                                    end=end) for engine in engines}
            panels.append(figures.Chart(f"{layout}, {end}", "log (MiB)", "recovery (s)",
                                        {**curves, FIO: limit}))
    figures.charts(panels, directory / "time", columns=2, order=[*engines, FIO],
                   x_names={float(s): str(s) for s in sizes})
    bars = _bars(run, str(sizes[-1]))
    if bars:
        figures.stacked_phases(bars, directory / "phases", x_label="recovery (s)")
    return {"time": "After a clean end nothing has to be read. After a kill everything that is "
                    "not vouched for is read and checked, so the time grows with it.",
            "phases": f"At {sizes[-1]} MiB, after a kill.", "verdict": _say_verdict(run, sizes)}


def _bars(run: Run, megabytes: str) -> list[figures.Bar]:
    names = [row["params"]["phase"] for row in run.summary
             if row["metric"] == "phase_s" and row["params"].get("end") == "killed"
             and row["params"]["megabytes"] == megabytes and row["median"] >= PHASE_MIN_S]
    bars = []
    for system in run.systems:
        total = run.estimate("recovery_s", system, megabytes=megabytes, end="killed")
        if total is None:
            continue
        phases = {name: estimate for name in dict.fromkeys(names)
                  if (estimate := run.estimate("phase_s", system, megabytes=megabytes,
                                               end="killed", phase=name)) is not None}
        layout, engine = system.split("/")
        points = [value for trial in run.trials if trial.system == system
                  if (value := trial.value("recovery_s", megabytes=megabytes, end="killed"))
                  is not None]
        bars.append(figures.Bar(engine, layout, phases, total, points))
    return sorted(bars, key=lambda bar: (bar.group, bar.label))


def _say_verdict(run: Run, sizes: list[int]) -> str:
    said = []
    for system in run.systems:
        after_kill = run.estimate("recovery_s", system, megabytes=str(sizes[-1]), end="killed")
        clean = run.estimate("recovery_s", system, megabytes=str(sizes[-1]), end="clean")
        limit = run.estimate("limit_s", system, megabytes=str(sizes[-1]))
        if after_kill is None or clean is None or limit is None:
            continue
        said.append(f"{system} {number(after_kill.median)} s after a kill, "
                    f"{storage_bench.ratio_words(after_kill, limit)} a plain read, and "
                    f"{number(clean.median)} s after a clean end")
    return f"{sizes[-1]} MiB of batches: {'; '.join(said)}." if said else ""
