"""How long nobody's writes are acknowledged when a leader dies or falls silent."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import consensus_groups, figures, storage_bench
from experiments.consensus_failover.phases import PHASES, first_ack, phases_ms, read_trace
from experiments.consensus_groups import MODULES, PEERS, Group, GroupError, GroupOptions, Member
from experiments.report import Observation, Run, number
from experiments.runner import Trial
from experiments.storage_bench import Recorder

NODES = 3
VALUE_BYTES = 128
PROFILES = ("equal_budget", "as_shipped")
BEFORE_S = 1.0  # Of load before the fault.
AFTER_DETECTION_MS_MAX = 100.0
"""What a frozen leader may cost beyond the silence that it takes to suspect it."""
SIGNALS = {"killed": signal.SIGKILL, "frozen": signal.SIGSTOP}
LINKS_WATCHED = (*MODULES, "zookeeper")
"""Who takes a broken connection to the leader for its death."""


def run_trial(trial: Trial) -> None:
    system = trial.cell["system"]
    if system in PEERS:
        consensus_groups.require(system)
    record = Recorder(trial)
    chosen = trial.parameters["profiles"]
    for profile in PROFILES if chosen == "both" else (chosen,):
        options = GroupOptions(size=NODES, profile=profile, trace=system in MODULES,
                               detection_ms=trial.parameters["detection_ms"],
                               transport=trial.parameters["transport"])
        trial.say(f"{profile}: starting")
        with Group(system, options, trial.scratch / profile) as group:
            line = _hurt(trial, group)
        _add_phases(group, line)
        shutil.rmtree(group.directory, ignore_errors=True)
        record.add(line, profile=profile)


def _patience(group: Group, fault: str) -> float:
    """Seconds of load after the fault: enough for two elections."""
    detection = consensus_groups.timeouts(group.options, group.system)["detection"] / 1e3
    if fault == "killed" and group.system in LINKS_WATCHED:
        detection = min(detection, 0.5)
    return 3.0 + 2.2 * detection


def _hurt(trial: Trial, group: Group) -> dict[str, Any]:
    fault = trial.cell["leader"]
    patience = _patience(group, fault)
    warmup = trial.parameters["warmup"]
    output = group.directory / "load"
    command = consensus_groups.load_command(
        group.system, group.endpoints, output, connections=NODES, window=NODES,
        bytes=VALUE_BYTES, rate=float(trial.parameters["rate"] * NODES), acks=True,
        duration=BEFORE_S + patience, warmup=warmup)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as load:
        time.sleep(warmup + BEFORE_S)
        leader = group.wait_leader(5)
        trial.say(f"{group.options.profile}: the leader is {fault}")
        fault_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        leader.process.send_signal(SIGNALS[fault])
        try:
            _, words = load.communicate(timeout=patience + 20)
        except subprocess.TimeoutExpired:
            load.kill()
            raise
    if load.returncode != 0:
        raise GroupError(words.strip())
    ack_ns = first_ack(output / "acks.csv", fault_ns, leader.number - 1)
    return {"fault_ns": fault_ns, "leader": leader.number, "patience_s": patience,
            "ack_ns": ack_ns,
            "first_ack_ms": None if ack_ns is None else (ack_ns - fault_ns) / 1e6}


def _add_phases(group: Group, line: dict[str, Any]) -> None:
    """When the group has ended, and the traces are whole."""
    if not group.options.trace or line["ack_ns"] is None:
        return
    survivors: list[Member] = [m for m in group.members if m.number != line["leader"]]
    events = [event for member in survivors
              for event in read_trace(group.directory / f"trace-{member.number}.jsonl")]
    line["phases_ms"] = phases_ms(events, line["fault_ns"], line["ack_ns"])
    line["reasons"] = sorted({e["reason"] for e in events if e["event"] == "election_started"
                              and e["t_ns"] > line["fault_ns"]})


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    found = []
    for line in storage_bench.read(directory):
        point = line["point"]
        found.append(Observation("first_ack_ms", line["first_ack_ms"], point))
        if phases := line.get("phases_ms"):
            found += [Observation("phase_ms", phases[phase], {**point, "phase": phase})
                      for phase in PHASES]
            found.append(Observation("after_detection_ms",
                                     line["first_ack_ms"] - phases["detect"], point))
    return found


def draw(run: Run, directory: Path) -> dict[str, str]:
    systems, faults = list(run.state["axes"]["system"]), list(run.state["axes"]["leader"])
    profiles = [p for p in PROFILES if any(row["params"].get("profile") == p
                                           for row in run.summary)]
    places = {system: at for at, system in enumerate(systems, 1)}
    figures.charts(
        [figures.Chart(f"{fault}, {profile}", "system", "first ack (ms)",
                       {s: [(float(at), e)] for s, at in places.items()
                        if (e := run.estimate("first_ack_ms", f"{s}/{fault}", profile=profile))
                        is not None}, log_x=False, joined=False)
         for profile in profiles for fault in faults],
        directory / "first_ack", order=systems, columns=2,
        x_names={float(at): s for s, at in places.items()})
    steps = dict(enumerate(PHASES, 1))
    figures.charts(
        [figures.Chart(f"{fault}, {profile}", "phase", "ms",
                       {s: _over_phases(run, f"{s}/{fault}", profile, steps) for s in systems
                        if s in MODULES}, log_x=False, joined=False)
         for profile in profiles for fault in faults],
        directory / "phases", order=[s for s in systems if s in MODULES], columns=2,
        x_names={float(at): word for at, word in steps.items()})
    return {"first_ack": " ".join(_say(run, systems, f, p) for p in profiles for f in faults),
            "phases": "Detection is a matter of timeouts, or of a broken connection; what follows "
                      "is the protocol's own.",
            "verdict": _say_verdict(run, faults)}


def _over_phases(run: Run, system: str, profile: str, steps: Mapping[int, str]) -> list[Any]:
    return [(float(at), e) for at, phase in steps.items()
            if (e := run.estimate("phase_ms", system, profile=profile, phase=phase)) is not None]


def _say(run: Run, systems: list[str], fault: str, profile: str) -> str:
    found = {s: e for s in systems
             if (e := run.estimate("first_ack_ms", f"{s}/{fault}", profile=profile)) is not None}
    absent = [s for s in systems if s not in found]
    words = ", ".join(f"{s} {number(e.median)}" for s, e in found.items())
    lacking = f" Not measured: {', '.join(absent)}." if absent else ""
    return f"Leader {fault}, {profile}, first ack in ms: {words}.{lacking}"


def _say_verdict(run: Run, faults: list[str]) -> str:
    said = []
    for fault in faults:
        peers = {s: e for s in PEERS if (e := run.estimate(
            "first_ack_ms", f"{s}/{fault}", profile="equal_budget")) is not None}
        fastest = min(peers, key=lambda s: peers[s].median, default=None)
        for module in MODULES:
            system = f"{module}/{fault}"
            own = run.estimate("first_ack_ms", system, profile="equal_budget")
            after = run.estimate("after_detection_ms", system, profile="equal_budget")
            if own is None:
                continue
            beside = "" if fastest is None else (
                f", {storage_bench.ratio_words(own, peers[fastest])} as long as {fastest}")
            behind = "" if after is None else f", {number(after.median)} of them after detection"
            if behind and fault == "frozen":
                behind += f" ({_say_bound(run, system)})"
            said.append(f"{module}, leader {fault}: {number(own.median)} ms{behind}{beside}")
    return "; ".join(said) + "." if said else "No module was measured with equal timeouts."


def _say_bound(run: Run, system: str) -> str:
    """Detection is measured in each trial, as Raft draws its timeout from once to twice the time
    that the others have."""
    times = [ms for trial in run.trials if trial.system == system
             and (ms := trial.value("after_detection_ms", profile="equal_budget")) is not None]
    kept = sum(ms <= AFTER_DETECTION_MS_MAX for ms in times)
    return f"at most {AFTER_DETECTION_MS_MAX:.0f} in {kept} of {len(times)} trials"
