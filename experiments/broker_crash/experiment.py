"""How long until others lead what a broker led that died or fell silent."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import canary, phases
from experiments import control_plane_report as reports
from experiments.control_plane import (
    FAULT_KINDS,
    FAULTS,
    NODES,
    PROFILES,
    Plane,
    rounds,
    run_sizes,
)
from experiments.definition import numbers
from experiments.report import Observation, Run, number
from experiments.runner import Trial, Unavailable
from experiments.storage_bench import Line, Recorder, interval

PRIMARY = {"profile": PROFILES[0], "fault": FAULTS[0]}
MOVE_TIMEOUT = 400.0  # Seconds.
AFTER_DETECTION_S_MAX = 1.0


def run_trial(trial: Trial) -> None:
    """Errors: Unavailable, for a fault that virtual brokers cannot have."""
    kinds = FAULT_KINDS[str(trial.parameters["kinds"])]
    if max(numbers(trial.parameters["brokers"])) > NODES and list(kinds) != ["killed"]:
        raise Unavailable(f"brokers={trial.parameters['brokers']}: a virtual broker cannot be "
                          "frozen without the others of its process; add --set kinds=killed")
    run_sizes(trial, _measure, replication_factor=NODES)


def _measure(plane: Plane, record: Recorder, point: dict[str, Any]) -> None:
    canary.ensure(plane)
    plane.grow(plane.size)
    kinds = FAULT_KINDS[str(plane.trial.parameters["kinds"])]
    for fault in rounds(plane, kinds, plane.size):
        canary.rest(plane)
        record.add(_crash(plane, fault), **point, fault=fault)


def _crash(plane: Plane, fault: str) -> Line:
    """Errors: control_plane.FAILURES, LoadError."""
    hit = canary.victim(plane)
    led = canary.led_by(plane, hit)
    survivors = [n.id for n in plane.nodes if n is not hit]
    plane.trial.say(f"{plane.profile}: broker {hit.id} is {fault}, {plane.partitions} partitions")
    output = plane.trial.scratch / "load"
    with canary.load(plane, output):
        mark = plane.mark()
        at = plane.hurt(hit, fault)
        plane.wait_event("broker_removed", hit, MOVE_TIMEOUT)
        canary.wait_served(plane, hit, led, MOVE_TIMEOUT)
        plane.settle(canary.AFTER_S)
    line = {"fault_ns": at.begun_ns, "silent_ns": at.silent_ns, "node": hit.id,
            "survivors": survivors, **canary.read(output, led, at.silent_ns), **plane.since(mark)}
    shutil.rmtree(output)
    plane.heal(hit)
    return line


def _phases(line: Line) -> phases.Phases:
    acks = line["first_acks"].values() if len(line["first_acks"]) == line["led"] else ()
    return phases.leaders_moved(line["events"], fault_ns=line["fault_ns"], hit=line["node"],
                                survivors=line["survivors"], acks_ns=list(acks))


def _values(line: Line, found: phases.Phases) -> reports.Values:
    detect = found["detect"]
    moved = [found[p] for p in ("decide", "commit", "propagate", "apply")]
    first = min(line["first_acks"].values(), default=None)
    after_ns = None if detect is None else line["fault_ns"] + detect * 1e9
    return {
        "after_detection_s": phases.after_detection(found),
        "moved_after_detection_s": None if None in moved else sum(moved),
        "first_ack_after_detection_s":
            None if first is None or after_ns is None else (first - after_ns) / 1e9,
        "led": line["led"],
        "stall_s": max(line["stalls_s"], default=None),
        "never_acknowledged": line["led"] - len(line["first_acks"])}


READING = reports.Reading(_phases, _values)


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    return reports.observe(directory, READING)


def draw(run: Run, directory: Path) -> dict[str, str]:
    reports.draw_scale(run, "after_detection_s", directory / "scale", "after detection (s)")
    shown = reports.primary(run, PRIMARY)
    reports.draw_phases(run, directory / "phases", shown, phases.MOVE,
                        x_label="time since the fault (s)")
    slopes = " ".join(words for s in run.systems if (words := reports.say_slopes(
        run, s, shown, phases.MOVE[1:], "after_detection_s")))
    return {"scale": reports.say_all(run, "after_detection_s"),
            "phases": f"Under {reports.words_of(shown)}. {slopes} "
                      f"{reports.say_counts(run, shown)}",
            "verdict": " ".join(_say_bound(run, condition)
                                for condition in reports.conditions(run, "after_detection_s"))
                       + reports.say_failures(run)}


def _say_bound(run: Run, condition: reports.Params) -> str:
    said = []
    for system in run.systems:
        for size in reports.sizes(run):
            point = {reports.axis(run): str(size), **condition}
            whole = run.estimate("after_detection_s", system, **point)
            first = run.estimate("first_ack_after_detection_s", system, **point)
            if whole is None or first is None:
                continue
            times = reports.samples(run, "after_detection_s", system, **point)
            kept = sum(t <= AFTER_DETECTION_S_MAX for t in times)
            said.append(f"{system} at {reports.size_words(size)}: {interval(whole, 's')} after "
                        f"detection (the first write after {number(first.median)} s), at most "
                        f"{AFTER_DETECTION_S_MAX:g} s in {kept} of {len(times)} faults")
    return (f"Until every partition that was watched and had lost its leader was written to again, "
            f"{reports.words_of(condition)}: {'; '.join(said)}. "
            f"{reports.say_beside(run, 'after_detection_s', condition)}")
