"""Quickstart: how a trial is run. What follows from its files is in analysis.py."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

from experiments import load_generator
from experiments.load_generator import LoadGenerator, wait_until
from experiments.phases import TRACE_EVENTS
from experiments.quickstart.analysis import TOPIC, draw, observe
from experiments.runner import Trial
from harness import faults
from harness.cluster import LocalCluster, Node

__all__ = ["draw", "observe", "run_trial"]

NODES = 3
RECOVERY_TIMEOUT = 30.0  # Seconds until a cluster must serve, or be in sync, again.
PROBE_HEAD_START = 0.5  # Seconds of topic creations before the controller is killed.
STDERR_LINES_MAX = 300


def run_trial(trial: Trial) -> None:
    p = trial.parameters
    cluster = LocalCluster(trial.scratch, brokers=NODES, engine=trial.cell["engine"],
                           plane=p["plane"], config=node_config(p))
    log: list[dict[str, Any]] = []
    try:
        with cluster:
            cluster.statuses()  # Loads the client, half a second of a core, before it can disturb.
            _under_load(trial, cluster, log)
            trial.say("reading everything back")
            load_generator.read_all(cluster.bootstrap, TOPIC, trial.directory)
    finally:
        (trial.directory / "faults.json").write_text(json.dumps(log, indent=1) + "\n")
        _keep_node_logs(cluster, trial.directory)


def node_config(parameters: dict[str, Any]) -> dict[str, str]:
    """What every node is told beyond its ports and paths."""
    session, election = parameters["session_timeout_ms"], parameters["election_timeout_ms"]
    return {"durability": str(parameters["durability"]),
            "broker.session.timeout.ms": str(session),
            "broker.heartbeat.interval.ms": str(session // 5),
            "zookeeper.session.timeout.ms": str(session), "keeper.tick.ms": str(session // 10),
            "controller.quorum.election.timeout.ms": str(election),
            "controller.quorum.heartbeat.interval.ms": str(election // 10),
            "replica.fetch.wait.max.ms": "100"}


def _under_load(trial: Trial, cluster: LocalCluster, log: list[dict[str, Any]]) -> None:
    p = trial.parameters
    with LoadGenerator("produce", cluster.bootstrap, trial.directory, topic=TOPIC, create=True,
                       partitions=p["partitions"], replication_factor=NODES, min_insync=NODES - 1,
                       acks="all", idempotence=True, rate=p["rate"], record_bytes=p["record_bytes"],
                       warmup="steady", warmup_max=p["warmup_max_s"], seed=trial.seed) as load:
        trial.say("warming up")
        load.wait_measuring(p["warmup_max_s"] + RECOVERY_TIMEOUT)
        trial.say("steady load")
        time.sleep(p["steady_s"])
        load.check()
        trial.say("killing a partition's leader")
        _kill_leader(trial, cluster, log, load)
        trial.say("killing the controller")
        _kill_controller(trial, cluster, log, load)
        trial.say("the last records")
        time.sleep(0.3)


def _kill_leader(trial: Trial, cluster: LocalCluster, log: list[dict[str, Any]],
                 load: LoadGenerator) -> None:
    """Kills the leader of a partition that is not also the active controller, if there is such a
    partition."""
    controller = cluster.controller()
    leaders = {n: cluster.leader(TOPIC, n) for n in range(int(trial.parameters["partitions"]))}
    partition = next((n for n, leader in leaders.items() if leader.id != controller.id), 0)
    record = _record(log, "partition_leader", leaders[partition], partition=partition)
    record["also_controller"] = leaders[partition].id == controller.id
    with faults.kill(leaders[partition]):
        time.sleep(trial.parameters["down_s"])
        _wait_taken_over(trial, cluster, leaders[partition], load)
        record["restart_ns"] = time.monotonic_ns()
    _wait_in_sync(trial, cluster, record, load)


def _kill_controller(trial: Trial, cluster: LocalCluster, log: list[dict[str, Any]],
                     load: LoadGenerator) -> None:
    with LoadGenerator("probe", cluster.bootstrap, trial.directory / "probe", topic="probe-",
                       rate=trial.parameters["probe_rate"], seed=trial.seed) as probe:
        probe.wait_measuring(RECOVERY_TIMEOUT)
        time.sleep(PROBE_HEAD_START)
        controller = cluster.controller()
        record = _record(log, "controller", controller)
        with faults.kill(controller):
            time.sleep(trial.parameters["down_s"])
            _wait_taken_over(trial, cluster, controller, load)
            probe.stop()
            record["restart_ns"] = time.monotonic_ns()
    _wait_in_sync(trial, cluster, record, load)


def _record(log: list[dict[str, Any]], killed: str, node: Node, **more: Any) -> dict[str, Any]:
    """Notes a kill that is about to happen."""
    log.append({"killed": killed, "node": node.id, "kill_ns": time.monotonic_ns(), **more})
    return log[-1]


def _wait_taken_over(trial: Trial, cluster: LocalCluster, dead: Node, load: LoadGenerator) -> None:
    """Waits until a live controller has fenced the node and every partition has a live leader. A
    node that came back earlier would end the outage by itself."""
    def taken_over() -> bool:
        brokers = cluster.controller().status().brokers
        return any(b.id == dead.id and b.fenced for b in brokers)

    wait_until(taken_over, RECOVERY_TIMEOUT, f"node {dead.id} to be fenced", load)
    for partition in range(int(trial.parameters["partitions"])):
        cluster.leader(TOPIC, partition, RECOVERY_TIMEOUT)


def _wait_in_sync(trial: Trial, cluster: LocalCluster, record: dict[str, Any],
                  load: LoadGenerator) -> None:
    record["ready_ns"] = time.monotonic_ns()
    partitions = int(trial.parameters["partitions"])

    def in_sync() -> bool:
        """By each partition's own leader: every replica is in the ISR."""
        statuses = cluster.statuses()
        held = [p for s in statuses.values() for p in s.partitions
                if p.topic == TOPIC and p.leader == s.node_id]
        newest = {p.partition: p for p in sorted(held, key=lambda p: p.leader_epoch)}
        return len(newest) == partitions and all(len(p.isr) == NODES for p in newest.values())

    record["in_sync_ns"] = wait_until(in_sync, RECOVERY_TIMEOUT, "every replica in sync", load)


def _keep_node_logs(cluster: LocalCluster, directory: Path) -> None:
    """The traces' events that the analysis uses, the ends of what nodes said, and their
    configuration."""
    for node in cluster.nodes.values():
        trace = node.directory / "trace.ndjson"
        stem = directory / f"node-{node.id}"
        if trace.exists():
            with open(trace, encoding="utf-8", errors="replace") as lines, \
                    gzip.open(f"{stem}.trace.ndjson.gz", "wt", encoding="utf-8") as kept:
                kept.writelines(line for line in lines if _event_of(line) in TRACE_EVENTS)
        for name in ("stderr", "node.properties"):
            source = node.directory / name
            if source.exists():
                tail = source.read_text(errors="replace").splitlines()[-STDERR_LINES_MAX:]
                Path(f"{stem}.{name}").write_text("\n".join(tail) + "\n")


def _event_of(line: str) -> str | None:
    try:
        return json.loads(line).get("event")
    except ValueError:  # A line that SIGKILL tore.
        return None
