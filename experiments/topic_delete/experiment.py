"""What it takes to delete a topic among many partitions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import control_plane_report as reports
from experiments import kafka_calls, phases
from experiments.control_plane import CREATE_TIMEOUT, PROFILES, Plane, run_sizes
from experiments.report import Observation, Run
from experiments.runner import Trial
from experiments.storage_bench import Line, Recorder

ONE = {"profile": PROFILES[0]}


def run_trial(trial: Trial) -> None:
    run_sizes(trial, _measure, replication_factor=1)


def _measure(plane: Plane, record: Recorder, point: dict[str, Any]) -> None:
    plane.grow(point["partitions"])
    for _ in range(int(plane.trial.parameters["topics"])):
        record.add(_delete_one(plane), **point)


def _delete_one(plane: Plane) -> Line:
    """Of a topic that was made for it. Errors: control_plane.FAILURES."""
    plane.trial.say(f"{plane.profile}: a topic less beside {plane.partitions} partitions")
    count = int(plane.trial.parameters["measured_partitions"])
    endpoint, topics = plane.active().endpoint, plane.next_topics(count)
    kafka_calls.create(endpoint, topics, CREATE_TIMEOUT)
    plane.settle()
    mark = plane.mark()
    asked_ns = time.monotonic_ns()
    kafka_calls.delete(endpoint, [t.name for t in topics], CREATE_TIMEOUT)
    acked_ns = time.monotonic_ns()
    plane.settle()
    return {"asked_ns": asked_ns, "acked_ns": acked_ns, "deleted": count,
            "brokers": [n.id for n in plane.nodes], **plane.since(mark)}


def _phases(line: Line) -> phases.Phases:
    return phases.change(line["events"], asked_ns=line["asked_ns"], brokers=line["brokers"])


def _values(line: Line, found: phases.Phases) -> reports.Values:
    return {"ack_s": (line["acked_ns"] - line["asked_ns"]) / 1e9}


READING = reports.Reading(_phases, _values)


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    return reports.observe(directory, READING)


def draw(run: Run, directory: Path) -> dict[str, str]:
    reports.draw_scale(run, "total_s", directory / "scale", "until all have applied it (s)")
    shown = reports.primary(run, ONE)
    reports.draw_phases(run, directory / "phases", shown, phases.CHANGE,
                        x_label="time since the request (s)")
    slopes = " ".join(words for s in run.systems if (words := reports.say_slopes(
        run, s, shown, phases.CHANGE)))
    return {"scale": "From the request until the last broker's replicas are gone.",
            "phases": slopes + " " + reports.say_counts(run, shown),
            "verdict": f"One topic less, until all brokers have applied it. "
                       f"{reports.say_all(run, 'total_s')}{reports.say_failures(run)}"}
