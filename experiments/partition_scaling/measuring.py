"""What is looked up about a cluster of real processes while it grows: memory, files, replicas; and
the loads on it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments import kafka_calls
from experiments.kafka_calls import Topic
from experiments.load_generator import LoadGenerator
from harness.cluster import LocalCluster

LOAD_TOPIC = "load"
NODES = 3
WARMUP_S = 2.0
OPEN_TIMEOUT = 400.0
"""Seconds until every replica is open: a machine that does other things is slow."""


@dataclass(frozen=True)
class Usage:
    """What one process holds."""

    rss_bytes: int
    peak_bytes: int
    """The most it ever held."""
    descriptors: int
    files: int
    """In its data directory."""


def parse_status(text: str) -> tuple[int, int]:
    """VmRSS and VmHWM of /proc/PID/status, in bytes. Errors: KeyError when they are not there."""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return tuple(int(fields[key].split()[0]) << 10 for key in ("VmRSS", "VmHWM"))  # type: ignore


def usage_of(pid: int, data: Path) -> Usage:
    """Errors: OSError when the process is gone."""
    rss, peak = parse_status(Path(f"/proc/{pid}/status").read_text())
    files = sum(len(names) for _, _, names in os.walk(data))
    return Usage(rss, peak, len(os.listdir(f"/proc/{pid}/fd")), files)


def usages(cluster: LocalCluster) -> dict[str, dict[str, int]]:
    """By node."""
    return {str(node.id): asdict(usage_of(node.process.pid, node.data))
            for node in cluster.nodes.values() if node.alive and node.process is not None}


def topics_of(partitions: int, per_topic: int, copies: int) -> list[Topic]:
    """Topics that have so many partitions together; all but the last have `per_topic`."""
    sizes = [per_topic] * (partitions // per_topic)
    if partitions % per_topic:
        sizes.append(partitions % per_topic)
    return [Topic(f"grown-{number:06}", size, copies) for number, size in enumerate(sizes)]


def requests_of(topics: Sequence[Topic], partitions_max: int) -> list[list[Topic]]:
    """The topics in groups of at most so many partitions; a larger topic is alone."""
    groups: list[list[Topic]] = []
    room = 0
    for topic in topics:
        if not groups or topic.partitions > room:
            groups.append([])
            room = partitions_max
        groups[-1].append(topic)
        room -= topic.partitions
    return groups


def wait_open(cluster: LocalCluster, replicas: int, timeout: float = OPEN_TIMEOUT) -> None:
    """Returns when the brokers have so many replicas open, all together. Errors: TimeoutError."""
    deadline = time.monotonic() + timeout
    while True:
        found = sum(s.replica_count for s in cluster.statuses(partitions=False).values())
        if found >= replicas:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{found} of {replicas} replicas were open after {timeout:g} s")
        time.sleep(0.05)


def load(cluster: LocalCluster, output: Path, parameters: Mapping[str, Any], seed: int,
         **more: Any) -> LoadGenerator:
    """An open loop on the load's topic, with a consumer on the same clock."""
    flags = {"topic": LOAD_TOPIC, "rate": parameters["rate"], "acks": "all", "idempotence": True,
             "record_bytes": parameters["record_bytes"], "warmup": WARMUP_S, "history": False,
             "seed": seed, **more}
    return LoadGenerator("produce", cluster.bootstrap, output, **flags)


def result_of(output: Path) -> dict[str, float | None]:
    """What a load found: milliseconds from the intended time of a record, and acks per second.
    Records that failed count as the latest of all."""
    found = json.loads((output / "result.json").read_text())
    produced, fetched = found["latency_ms"]["response"], found["latency_ms"]["end_to_end"]
    measured = found["measured"]
    lost = measured["fail"] + measured["info"]
    seconds = (found["offered_until_ns"] - found["measured_from_ns"]) / 1e9
    return {"produce_p50_ms": produced.get("p50"),
            "produce_p99_ms": None if lost * 100 > measured["offered"] else produced.get("p99"),
            "fetch_p50_ms": fetched.get("p50"), "fetch_p99_ms": fetched.get("p99"),
            "acks_per_s": measured["ok"] / seconds if seconds > 0 else None,
            "failed": float(lost)}


def grow(cluster: LocalCluster, groups: Sequence[Sequence[Topic]], timeout: float) -> None:
    """Makes the topics, a request after the other. Errors: kafka_calls.CallError."""
    endpoint = cluster.controller().endpoint
    for group in groups:
        kafka_calls.create(endpoint, group, timeout)
