"""How long a broker takes to go in good order, and how long its partitions are without a leader."""

from __future__ import annotations

import shutil
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

PRIMARY = {"profile": PROFILES[0]}


def run_trial(trial: Trial) -> None:
    run_sizes(trial, _measure, replication_factor=NODES)


def _measure(plane: Plane, record: Recorder, point: dict[str, Any]) -> None:
    canary.ensure(plane)
    plane.grow(point["partitions"])
    for _ in rounds(plane, ("stopped",), point["partitions"]):
        canary.rest(plane)
        record.add(_shut_down(plane), **point)


def _shut_down(plane: Plane) -> Line:
    """Errors: control_plane.FAILURES, LoadError."""
    hit = canary.victim(plane)
    led = canary.led_by(plane, hit)
    survivors = [n.id for n in plane.nodes if n is not hit]
    plane.trial.say(f"{plane.profile}: broker {hit.id} shuts down, {plane.partitions} partitions")
    output = plane.trial.scratch / "load"
    with canary.load(plane, output):
        mark = plane.mark()
        asked_ns = time.monotonic_ns()
        status = hit.stop(RESTART_TIMEOUT)
        gone_ns = time.monotonic_ns()
        canary.wait_served(plane, hit, led, RESTART_TIMEOUT)
        plane.settle(canary.AFTER_S)
    line = {"fault_ns": asked_ns, "gone_ns": gone_ns, "status": status, "node": hit.id,
            "survivors": survivors, **canary.read(output, led, asked_ns), **plane.since(mark)}
    shutil.rmtree(output)
    plane.heal(hit)
    return line


def _phases(line: Line) -> phases.Phases:
    found = phases.leaders_moved(line["events"], fault_ns=line["fault_ns"], hit=line["node"],
                                 survivors=line["survivors"], acks_ns=[line["gone_ns"]],
                                 moved="broker_handed_over")
    found["exit"] = found.pop("ack")
    return found


def _values(line: Line, found: phases.Phases) -> reports.Values:
    handed_over = any(e["event"] == "broker_handed_over" for e in line["events"])
    return {"stall_s": max(line["stalls_s"], default=None), "left_behind": int(not handed_over),
            "led": line["led"],
            "unacknowledged": line["unacknowledged"]}


READING = reports.Reading(_phases, _values)


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    return reports.observe(directory, READING)


def draw(run: Run, directory: Path) -> dict[str, str]:
    reports.draw_scale(run, "total_s", directory / "scale", "shutdown (s)")
    reports.draw_scale(run, "stall_s", directory / "stall", "longest stall (s)")
    shown = reports.primary(run, PRIMARY)
    reports.draw_phases(run, directory / "phases", shown, (*phases.MOVE[1:-1], "exit"),
                        x_label="time since SIGTERM (s)")
    slopes = " ".join(words for s in run.systems if (words := reports.say_slopes(
        run, s, shown, (*phases.MOVE[1:-1], "exit"))))
    return {"scale": "From SIGTERM until the process is gone.",
            "phases": f"Under {reports.words_of(shown)}. {slopes} "
                      f"{reports.say_counts(run, shown)}",
            "stall": reports.say_all(run, "stall_s"),
            "verdict": f"From SIGTERM until the process is gone. "
                       f"{reports.say_all(run, 'total_s')}{reports.say_failures(run)}"}
