"""How long nobody decides when the active controller dies or falls silent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import control_plane_report as reports
from experiments import phases, scaling, stats
from experiments.control_plane import (
    FAULT_KINDS,
    FAULTS,
    PROFILES,
    SYSTEMS,
    Plane,
    rounds,
    run_sizes,
)
from experiments.kafka_calls import Probe
from experiments.report import Observation, Run
from experiments.runner import Trial
from experiments.storage_bench import Line, Recorder
from harness.waiting import wait_for

PRIMARY = {"profile": PROFILES[0], "fault": FAULTS[0]}
PLANES = ("zk", "kraft", "raft")
FAILOVER_TIMEOUT = 400.0  # Seconds; reading a million partitions back takes its time.
INTERVAL, PATIENCE = 0.05, 0.25
"""Seconds between two requests, and that one waits. Those that found no controller are carried out
together when there is one: five of them make the end of a failover, fifty, with a patience of a
second and 20 ms between, a burst of topics that hides it."""
BEFORE = 10  # Topics that are made before a fault.
FLAT_MAX = 1.5
FLAT_FROM = 10_000  # Partitions.
AFTER_DETECTION_S_MAX = 1.0


def run_trial(trial: Trial) -> None:
    run_sizes(trial, _measure, replication_factor=1)


def _measure(plane: Plane, record: Recorder, point: dict[str, Any]) -> None:
    plane.grow(point["partitions"])
    kinds = FAULT_KINDS[str(plane.trial.parameters["kinds"])]
    for n, fault in enumerate(rounds(plane, kinds, point["partitions"])):
        line = _fail_over(plane, fault, f"probe-{point['partitions']}-{n}-")
        record.add(line, **point, fault=fault)


def _fail_over(plane: Plane, fault: str, prefix: str) -> Line:
    """Errors: control_plane.FAILURES."""
    victim = plane.active()
    plane.trial.say(f"{plane.profile}: the controller is {fault}, {plane.partitions} partitions")
    mark = plane.mark()
    with Probe([n.endpoint for n in plane.nodes if n is not victim], prefix,
               interval=INTERVAL, patience=PATIENCE) as probe:
        wait_for(lambda: len(probe.acks_ns()) >= BEFORE, 60, "topics to be made before the fault")
        hit = plane.hurt(victim, fault)
        wait_for(lambda: phases.served_again(probe.asked_ns(), hit.silent_ns), FAILOVER_TIMEOUT,
                 "topics to be made after the fault")
    line = {"fault_ns": hit.begun_ns, "silent_ns": hit.silent_ns, "node": victim.id,
            "probe": probe.lines(hit.begun_ns), **plane.since(mark)}
    plane.heal(victim)
    return line


def _phases(line: Line) -> phases.Phases:
    silent_ns = line.get("silent_ns", line["fault_ns"])
    return phases.controller_failover(line["events"], fault_ns=line["fault_ns"], hit=line["node"],
                                      asked_ns=[(s, a) for s, a, error in line["probe"]
                                                if not error and s > silent_ns])


def _values(line: Line, found: phases.Phases) -> reports.Values:
    refused = sum(1 for sent, _, error in line["probe"] if error)
    return {"after_detection_s": phases.after_detection(found), "refused": refused}


READING = reports.Reading(_phases, _values)


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    return reports.observe(directory, READING, PRIMARY,
                           "failover_after_detection_s=after_detection_s")


def draw(run: Run, directory: Path) -> dict[str, str]:
    reports.draw_scale(run, "after_detection_s", directory / "scale", "failover (s)")
    shown = reports.primary(run, PRIMARY)
    reports.draw_phases(run, directory / "phases", shown, phases.FAILOVER,
                        x_label="time since the fault (s)")
    slopes = " ".join(words for s in run.systems if (words := reports.say_slopes(
        run, s, shown, phases.FAILOVER[1:], "after_detection_s")))
    return {"scale": reports.say_all(run, "after_detection_s"),
            "phases": f"Under {reports.words_of(shown)}. {slopes} "
                      f"{reports.say_counts(run, shown)}",
            "verdict": f"{_say_flat(run, shown)} {_say_factors(run, shown)}"
                       f"{reports.say_failures(run)}"}


def _say_flat(run: Run, shown: reports.Params) -> str:
    """Beside 10,000 partitions: with fewer, what does not grow hides what does."""
    said = []
    for system in (s for s in PLANES if s in run.systems):
        found = {size: values for size in reports.sizes(run) if size >= FLAT_FROM
                 and (values := reports.samples(run, "after_detection_s", system,
                                                partitions=str(size), **shown))}
        if len(found) < 2:
            continue
        first, last = min(found), max(found)
        seed = stats.seed_of(run.state["seed"], "flat", system)
        after = stats.median_ci(found[last], seed=seed)
        ratios = [scaling.ratio(values, found[first], seed=seed).median
                  for values in found.values()]
        flat = "flat" if max(ratios) <= FLAT_MAX else "not flat"
        under = "under" if after.median < AFTER_DETECTION_S_MAX else "not under"
        growth = reports.say_growth(run, "after_detection_s", system, shown, base=FLAT_FROM)
        said.append(f"{growth[:-1]}: {flat} (at most {FLAT_MAX:g} times), and with "
                    f"{reports.duration_words(after)} at {reports.size_words(last)} partitions "
                    f"{under} "
                    f"{AFTER_DETECTION_S_MAX:g} s after detection.")
    return " ".join(said) or "Too few sizes to say how it grows."


def _say_factors(run: Run, shown: reports.Params) -> str:
    """How much of the difference goes with the design and how much with the protocol."""
    said = []
    for size in reports.sizes(run):
        cells = {SYSTEMS[s]: reports.samples(run, "after_detection_s", s, partitions=str(size),
                                             **shown) for s in SYSTEMS}
        found = scaling.two_way(cells, seed=stats.seed_of(run.state["seed"], "two_way", size))
        if found is not None:
            said.append(
                f"At {reports.size_words(size)} partitions the slower design takes "
                f"{reports.ratio_words(found.rows_span)} as long as the faster, the slowest "
                f"protocol {reports.ratio_words(found.columns_span)} as the fastest; of the "
                f"difference, {_share(found.rows_share)} goes with the design, "
                f"{_share(found.columns_share)} with the protocol, "
                f"{_share(found.interaction_share)} with the pair.")
    return " ".join(said) or ("The factors are not separated: it takes all six pairs of design "
                              "and protocol at one size.")


def _share(share: stats.Estimate) -> str:
    words = f"{100 * share.median:.0f} %"
    if share.ci_low is None or share.ci_high is None:
        return words
    return f"{words} ({100 * share.ci_low:.0f} to {100 * share.ci_high:.0f})"
