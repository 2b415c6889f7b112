"""What the copies of partitions cost when followers fetch them, and when each partition is a
consensus group: the points of a trial, and what the figures say."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments import figures, kafka_calls, storage_bench
from experiments.definition import numbers
from experiments.kafka_calls import Topic
from experiments.load_generator import LoadGenerator, Operations, load_operations
from experiments.partition_replication import work
from experiments.partition_scaling import measuring
from experiments.partition_scaling.measuring import LOAD_TOPIC, NODES, WARMUP_S, result_of
from experiments.report import Observation, Run, number
from experiments.runner import Trial
from experiments.storage_bench import Recorder, curve
from harness import faults
from harness.cluster import LocalCluster, Node
from harness.waiting import wait_for

CREATE_TIMEOUT = 120.0  # Seconds.
SETTLE_S = 5.0  # Leaders of groups, and who is named as such, have met by then.
LOOK_MS = 20  # How often the client asks for leaders after a fault (experiments/canary.py).
REQUEST_TIMEOUT_MS = 1000
CARRIED_MS = 1000.0  # A load whose p99 is longer queues up.
AFTER_S = 2.0  # Of load once all partitions are led again.
REPLICATORS = {"isr-sync": ("isr", "sync"), "isr-group": ("isr", "group"),
               "consensus": ("consensus", "group")}
"""System -> replicator, durability of the partitions' logs. A group's own log is always synced."""


def run_trial(trial: Trial) -> None:
    record = Recorder(trial)
    for partitions in numbers(trial.parameters["partitions"]):
        root = trial.scratch / str(partitions)
        config = node_config(trial.cell["replicator"], trial.parameters)
        cluster = LocalCluster(root, brokers=NODES, plane=trial.parameters["plane"],
                               layout=trial.parameters["layout"], config=config)
        try:
            with cluster:
                record.add(_point(trial, cluster, partitions), partitions=partitions)
        finally:
            shutil.rmtree(root, ignore_errors=True)


def node_config(system: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """What every node is told: both replicators miss a dead leader after the same time."""
    replicator, durability = REPLICATORS[system]
    detection = int(parameters["detection_ms"])
    config = {"durability": durability, "replicator": replicator, "min.insync.replicas": "2",
              "broker.session.timeout.ms": str(detection),
              "broker.heartbeat.interval.ms": str(detection // 5),
              "controller.quorum.election.timeout.ms": str(detection),
              "controller.quorum.heartbeat.interval.ms": str(detection // 5)}
    if replicator == "consensus":
        config |= {"replicator.election.timeout.ms": str(detection),
                   "replicator.heartbeat.interval.ms": str(detection // 5)}
    return config


def _point(trial: Trial, cluster: LocalCluster, partitions: int) -> dict[str, Any]:
    p, root = trial.parameters, cluster.root

    def say(what: str) -> None:
        trial.say(f"{number(partitions)} partitions: {what}")

    say("making them")
    kafka_calls.create(cluster.controller().endpoint, [Topic(LOAD_TOPIC, partitions, NODES)],
                       CREATE_TIMEOUT)
    measuring.wait_open(cluster, partitions * NODES)
    _wait_whole(cluster, partitions)
    say("idle")
    line: dict[str, Any] = {"idle": _idle(cluster, p["seconds"])}
    say("the first records")  # They make the partitions' files.
    with load(cluster, root / "first", p, trial.seed, consume=False) as running:
        running.wait_measuring(60)
        time.sleep(max(p["seconds"], 2 * partitions / p["rate"]))
    say("a steady load")
    with load(cluster, root / "steady", p, trial.seed) as running:
        running.wait_measuring(60)
        time.sleep(p["seconds"])
    line["steady"] = result_of(root / "steady")
    say("a load that keeps processors busy")
    with load(cluster, root / "busy", p, trial.seed, rate=p["busy_rate"], linger_ms=5,
              consume=False) as running:
        running.wait_measuring(60)
        before, begun = work.cpu_seconds(_pids(cluster)), time.monotonic()
        time.sleep(p["seconds"])
        used, seconds = work.cpu_seconds(_pids(cluster)) - before, time.monotonic() - begun
    line["busy"] = busy_of(result_of(root / "busy"), used / seconds)
    say("a leader is killed")
    line["stall"] = _kill_leader(trial, cluster, partitions)
    return line


def load(cluster: LocalCluster, output: Path, parameters: Mapping[str, Any], seed: int,
         **more: Any) -> LoadGenerator:
    """An open loop with acks=all, and a consumer on the same clock; `more` wins."""
    flags = {"topic": LOAD_TOPIC, "rate": parameters["rate"], "acks": "all", "idempotence": True,
             "record_bytes": parameters["record_bytes"], "warmup": WARMUP_S, "history": False,
             "seed": seed, **more}
    return LoadGenerator("produce", cluster.bootstrap, output, **flags)


def busy_of(found: Mapping[str, float | None], processors: float) -> dict[str, float | None]:
    """What a load found during which so many processors were in use. Without acks in time it was
    not carried: what was done for those that came later is not in the time that was counted."""
    p99, acks = found["produce_p99_ms"], found["acks_per_s"]
    carried = p99 is not None and p99 < CARRIED_MS and bool(acks)
    return {"p99_ms": p99, "acks_per_s": acks,
            "cpu_us": processors / acks * 1e6 if carried and acks else None}


def _pids(cluster: LocalCluster) -> list[int]:
    return [node.process.pid for node in cluster.nodes.values() if node.process is not None]


def _leaders(cluster: LocalCluster, asked: Node) -> dict[int, kafka_calls.Leader]:
    return kafka_calls.leaders(asked.endpoint, LOAD_TOPIC)


def _wait_whole(cluster: LocalCluster, partitions: int) -> None:
    """Until each partition is led, by whoever leads its group, with all replicas in sync."""
    def whole() -> bool:
        found = _leaders(cluster, cluster.nodes[1])
        return len(found) == partitions and all(
            leader.id >= 0 and len(leader.isr) == NODES for leader in found.values())
    wait_for(whole, CREATE_TIMEOUT, "every partition to be led and in sync", interval=0.2)
    time.sleep(SETTLE_S)
    wait_for(whole, CREATE_TIMEOUT, "every partition to be led and in sync", interval=0.2)


def _idle(cluster: LocalCluster, seconds: float) -> dict[str, float | None]:
    """What the processes do while no client asks for anything, each second."""
    pids = _pids(cluster)
    sockets, cpu, begun = work.look(cluster), work.cpu_seconds(pids), time.monotonic()
    time.sleep(seconds)
    lasted = time.monotonic() - begun
    found: dict[str, float | None] = {"cpu_ms": (work.cpu_seconds(pids) - cpu) / lasted * 1e3,
                                      "segments": None, "kib": None}
    after = work.look(cluster)
    if sockets is not None and after is not None:
        sent = work.sent_between(sockets, after)
        found |= {"segments": sent.segments / lasted, "kib": sent.bytes / 1024 / lasted}
    return found


def _kill_leader(trial: Trial, cluster: LocalCluster, partitions: int) -> dict[str, float | None]:
    """The broker that leads most of those that are not the active controller's."""
    active = cluster.controller()
    leaders = [leader.id for leader in _leaders(cluster, active).values()]
    victim = max((n for n in cluster.nodes.values() if n is not active),
                 key=lambda n: leaders.count(n.id))
    led = [p for p, leader in _leaders(cluster, active).items() if leader.id == victim.id]
    output = trial.scratch / "fault"
    shutil.rmtree(output, ignore_errors=True)
    with load(cluster, output, trial.parameters, trial.seed, history=True, consume=False,
              request_timeout_ms=REQUEST_TIMEOUT_MS,
              client=f"topic.metadata.refresh.interval.ms={LOOK_MS}") as running:
        running.wait_measuring(60)
        time.sleep(1.0)
        fault_ns = time.monotonic_ns()
        with faults.kill(victim):
            def moved() -> bool:
                found = _leaders(cluster, active)
                return len(found) == partitions and all(
                    found[p].id not in (victim.id, -1) for p in led)
            wait_for(moved, CREATE_TIMEOUT, "others to lead", interval=0.05)
            time.sleep(AFTER_S)
            running.stop()
    operations = load_operations(output)
    shutil.rmtree(output, ignore_errors=True)
    return stall(operations, led, fault_ns)


def stall(operations: Operations, led: list[int], fault_ns: int) -> dict[str, float | None]:
    """Of the records that fell due after the fault, of partitions that the dead broker led: the
    seconds that the unluckiest one waited, and how many of the partitions have no ack of one."""
    later = operations.intended >= fault_ns
    mine = later & np.isin(operations.partitions, led) & operations.ok
    served = np.unique(operations.partitions[mine])
    waited = operations.response_ms[mine]
    return {"seconds": float(waited.max()) / 1e3 if waited.size else None,
            "never": float(len(led) - len(served)), "led": float(len(led))}


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    return storage_bench.observe_all(directory, _numbers)


def _numbers(line: Mapping[str, Any]) -> dict[str, float | None]:
    steady, busy, idle, fault = line["steady"], line["busy"], line["idle"], line["stall"]
    found = {metric: steady[metric] for metric in
             ("produce_p50_ms", "produce_p99_ms", "fetch_p50_ms", "fetch_p99_ms", "failed")}
    return {**found, "busy_p99_ms": busy["p99_ms"], "cpu_per_record_us": busy["cpu_us"],
            "idle_cpu_ms": idle["cpu_ms"], "idle_segments": idle["segments"],
            "idle_kib": idle["kib"], "stall_s": fault["seconds"],
            "never_acknowledged": fault["never"]}


def draw(run: Run, directory: Path) -> dict[str, str]:
    counts = numbers(run.parameters["partitions"])

    def chart(title: str, unit: str, metric: str) -> figures.Chart:
        return figures.Chart(title, "partitions", unit,
                             {system: curve(run, metric, system, "partitions", counts)
                              for system in run.systems})

    figures.charts([chart("produce, median", "ms", "produce_p50_ms"),
                    chart("produce, p99", "ms", "produce_p99_ms"),
                    chart("to the consumer, p99", "ms", "fetch_p99_ms"),
                    chart("processors, of each record at busy_rate", "us", "cpu_per_record_us")],
                   directory / "load", columns=2, order=run.systems)
    figures.charts([chart("processors", "ms/s", "idle_cpu_ms"),
                    chart("TCP segments with data", "1/s", "idle_segments"),
                    chart("bytes", "KiB/s", "idle_kib")],
                   directory / "idle", order=run.systems)
    figures.charts([chart("the unluckiest record", "s", "stall_s")], directory / "failover",
                   order=run.systems)
    return {"load": _say(run, counts, "produce_p50_ms", "ms"),
            "idle": _say(run, counts, "idle_segments", "segments/s"),
            "failover": _say(run, counts, "stall_s", "s")}


def _say(run: Run, counts: list[int], metric: str, unit: str) -> str:
    """With the fewest and with the most partitions."""
    said = []
    for system in run.systems:
        points = curve(run, metric, system, "partitions", counts)
        if points:
            ends = [points[0]] + ([points[-1]] if len(points) > 1 else [])
            words = ", ".join(f"{storage_bench.interval(e, unit)} with {number(n)}"
                              for n, e in ends)
            said.append(f"{system}: {words}")
    return f"{'; '.join(said)} partitions." if said else ""
