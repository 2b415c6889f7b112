"""How long a small change takes from the controller to every broker, while they follow one another.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments import control_plane_report as reports
from experiments import phases, stats, storage_bench
from experiments.control_plane import PROFILES, Plane, run_sizes
from experiments.kafka_calls import Probe
from experiments.report import Observation, Run
from experiments.runner import Trial
from experiments.storage_bench import Line, Recorder

WINDOWS = 10  # Of a size's time: a median is taken in each, so that one trial has an interval.
PRIMARY = {"profile": PROFILES[0], "quantile": "0.5"}


def run_trial(trial: Trial) -> None:
    run_sizes(trial, _measure, replication_factor=1)


def _measure(plane: Plane, record: Recorder, point: dict[str, Any]) -> None:
    plane.grow(plane.size)
    plane.trial.say(f"{plane.profile}: small changes beside {plane.partitions} partitions")
    parameters = plane.trial.parameters
    mark = plane.mark()
    with Probe([n.endpoint for n in plane.nodes], f"small-{plane.size}-",
               interval=1 / float(parameters["rate"]), patience=10) as probe:
        time.sleep(float(parameters["seconds"]))
    plane.settle()
    record.add({"asked": probe.lines(0), "brokers": [n.id for n in plane.nodes],
                **plane.since(mark)}, **point)


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    found = [Observation("failures", 0)]
    for line in storage_bench.read(directory):
        if "failed" in line:
            found.append(Observation("failures", 1))
            continue
        point = line["point"]
        lags = phases.propagation(line["events"], line["brokers"])
        lags["ack"] = [(answered - sent) / 1e9 for sent, answered, error in line["asked"]
                       if not error]
        if not lags["publish"]:  # A broker that heard of no change leaves nothing to measure.
            found.append(Observation("failures", 1))
        for name, values in lags.items():
            found += [Observation(f"{name}_s", value, {**point, "quantile": "0.5"})
                      for value in window_medians(values)]
            if values:
                found.append(Observation(f"{name}_s", stats.quantile(np.array(values), 0.99),
                                         {**point, "quantile": "0.99"}))
        found.append(Observation("refused", sum(1 for _, _, error in line["asked"] if error),
                                 point))
        found += [Observation("count", value / max(1, len(line["asked"])), {**point, "what": what})
                  for what, value in reports.counts(line).items()]
    return found


def window_medians(values: Sequence[float]) -> list[float]:
    """Of each of WINDOWS stretches of values that follow one another."""
    return [stats.quantile(window, 0.5)
            for window in np.array_split(np.array(values), WINDOWS) if window.size]


def draw(run: Run, directory: Path) -> dict[str, str]:
    for name, words in (("publish", "commit until all brokers know (s)"),
                        ("apply", "commit until all have applied (s)"),
                        ("ack", "request until its answer (s)")):
        reports.draw_scale(run, f"{name}_s", directory / name, words)
    shown = reports.primary(run, PRIMARY)
    says = {name: " ".join(reports.say_growth(run, f"{name}_s", s, shown) for s in run.systems)
                  + " " + reports.say_beside(run, f"{name}_s", shown)
            for name in ("publish", "apply", "ack")}
    costs = reports.say_counts(run, {"profile": shown["profile"]})
    return {**says, "verdict": f"Medians of the time from a commit until the last broker knows it. "
                               f"{says['publish']} Until a request's answer. {says['ack']} {costs}"
                               f"{reports.say_failures(run)}"}
