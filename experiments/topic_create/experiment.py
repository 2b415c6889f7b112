"""What it takes to make a topic, and to make all the partitions there are."""

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
from experiments.storage_bench import Line, Recorder, interval

ONE, GROWTH = {"profile": PROFILES[0], "made": "one"}, {"profile": PROFILES[0], "made": "growth"}


def run_trial(trial: Trial) -> None:
    run_sizes(trial, _measure, replication_factor=1)


def _measure(plane: Plane, record: Recorder, point: dict[str, Any]) -> None:
    grown = plane.grow(point["partitions"])
    record.add({**grown, "brokers": [n.id for n in plane.nodes],
                "resident_bytes": plane.resident_bytes()}, **point, made="growth")
    for _ in range(int(plane.trial.parameters["topics"])):
        record.add(_make_one(plane), **point, made="one")


def _make_one(plane: Plane) -> Line:
    """It is deleted again, when it has been measured. Errors: control_plane.FAILURES."""
    plane.trial.say(f"{plane.profile}: a topic more beside {plane.partitions} partitions")
    count = int(plane.trial.parameters["measured_partitions"])
    endpoint, topics = plane.active().endpoint, plane.next_topics(count)
    mark = plane.mark()
    asked_ns = time.monotonic_ns()
    kafka_calls.create(endpoint, topics, CREATE_TIMEOUT)
    acked_ns = time.monotonic_ns()
    plane.settle()
    line = {"asked_ns": asked_ns, "acked_ns": acked_ns, "made": count,
            "brokers": [n.id for n in plane.nodes], **plane.since(mark)}
    kafka_calls.delete(endpoint, [t.name for t in topics], CREATE_TIMEOUT)
    plane.settle()
    return line


def _phases(line: Line) -> phases.Phases:
    return phases.change(line["events"], asked_ns=line["asked_ns"], brokers=line["brokers"])


def _values(line: Line, found: phases.Phases) -> reports.Values:
    total = found["total"]
    values = {"ack_s": (line["acked_ns"] - line["asked_ns"]) / 1e9,
              "partitions_per_s": None if not total else line["made"] / total}
    if "resident_bytes" in line:
        values["resident_mib"] = line["resident_bytes"] / (1 << 20)
    if "requests" in line:
        values["partitions_per_s"] = [count / seconds for count, seconds in line["requests"]]
    return values


READING = reports.Reading(_phases, _values)


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    return reports.observe(directory, READING)


def draw(run: Run, directory: Path) -> dict[str, str]:
    reports.draw_scale(run, "total_s", directory / "scale", "until all have applied it (s)")
    shown = reports.primary(run, ONE)
    reports.draw_phases(run, directory / "phases", shown, phases.CHANGE,
                        x_label="time since the request (s)")
    growth = " ".join(reports.say_growth(run, "total_s", s, shown) for s in run.systems)
    slopes = " ".join(words for s in run.systems if (words := reports.say_slopes(
        run, s, shown, phases.CHANGE)))
    return {"scale": "One: one topic more. Growth: from the size before.",
            "phases": slopes + " " + reports.say_counts(run, shown),
            "verdict": f"One topic more, until all brokers have applied it. {growth} "
                       f"{reports.say_beside(run, 'total_s', shown)} "
                       f"{_say_rates(run, shown['profile'])}{reports.say_failures(run)}"}


def _say_rates(run: Run, profile: str) -> str:
    said = []
    for system in run.systems:
        found = {size: e for size in reports.sizes(run) if (e := run.estimate(
            "partitions_per_s", system, partitions=str(size), **{**GROWTH, "profile": profile}))
            is not None}
        if found:
            size = max(found)
            said.append(f"{system} grows to {reports.size_words(size)} at "
                        f"{interval(found[size], 'partitions a second')}")
    return ("; ".join(said) + ".") if said else ""
