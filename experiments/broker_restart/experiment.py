"""How long a broker takes to come back: to what it knew, to the cluster, to its partitions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import canary, phases
from experiments import control_plane_report as reports
from experiments.control_plane import (
    NODES,
    PROFILES,
    RESTART_TIMEOUT,
    Plane,
    rounds,
    run_sizes,
)
from experiments.report import Observation, Run
from experiments.runner import Trial
from experiments.storage_bench import Line, Recorder

ENDS = ("stopped", "killed")
PRIMARY = {"profile": PROFILES[0], "end": ENDS[0]}


def run_trial(trial: Trial) -> None:
    run_sizes(trial, _measure, replication_factor=NODES)


def _measure(plane: Plane, record: Recorder, point: dict[str, Any]) -> None:
    canary.ensure(plane)
    plane.grow(point["partitions"])
    for end in rounds(plane, ENDS, point["partitions"]):
        canary.rest(plane)
        record.add(_restart(plane, end), **point, end=end)


def _restart(plane: Plane, end: str) -> Line:
    """Errors: control_plane.FAILURES."""
    node = canary.victim(plane)
    led = canary.led_by(plane, node)
    plane.trial.say(f"{plane.profile}: broker {node.id} is {end}, {plane.partitions} partitions")
    if end == "killed":
        node.kill()
    else:
        node.stop(RESTART_TIMEOUT)
    canary.wait_served(plane, node, led, RESTART_TIMEOUT)
    plane.settle(canary.QUIET_S)
    plane.trial.say(f"{plane.profile}: broker {node.id} comes back")
    mark = plane.mark()
    start_ns = time.monotonic_ns()
    node.start(timeout=RESTART_TIMEOUT)
    ready_ns = time.monotonic_ns()
    in_sync_ns = canary.wait_in_sync(plane)
    line = {"start_ns": start_ns, "ready_ns": ready_ns, "in_sync_ns": in_sync_ns, "node": node.id,
            **plane.since(mark)}
    plane.wait_whole()
    return line


def _phases(line: Line) -> phases.Phases:
    return phases.restart(line["events"], start_ns=line["start_ns"], node=line["node"],
                          ready_ns=line["ready_ns"], in_sync_ns=line["in_sync_ns"])


def _values(line: Line, found: phases.Phases) -> reports.Values:
    return {"ready_s": (line["ready_ns"] - line["start_ns"]) / 1e9}


READING = reports.Reading(_phases, _values)


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    return reports.observe(directory, READING)


def draw(run: Run, directory: Path) -> dict[str, str]:
    reports.draw_scale(run, "total_s", directory / "scale", "restart (s)")
    shown = reports.primary(run, PRIMARY)
    reports.draw_phases(run, directory / "phases", shown, phases.RESTART,
                        x_label="time since the start (s)")
    slopes = " ".join(words for s in run.systems if (words := reports.say_slopes(
        run, s, shown, phases.RESTART)))
    return {"scale": "Stopped: after a shutdown in good order; killed: after SIGKILL.",
            "phases": f"Under {reports.words_of(shown)}. {slopes} "
                      f"{reports.say_counts(run, shown)}",
            "verdict": f"From the start of the process until its watched replicas are in sync. "
                       f"{reports.say_all(run, 'total_s')}{reports.say_failures(run)}"}
