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

import numpy as np

from experiments import kafka_calls
from experiments.kafka_calls import Topic
from experiments.load_generator import LoadGenerator, load_operations
from experiments.raw_data import lines
from experiments.stats import quantile
from harness.cluster import LocalCluster

LOAD_TOPIC = "load"
NODES = 3
WARMUP_S = 5.0
RESAMPLES = 400
"""Of a load's p99: enough for an interval of 95 %, few enough to be kept with the raw data."""
BLOCK_NS = 1_000_000_000
GROWTH_TRIES = 5
OPEN_ERRORS = (kafka_calls.REQUEST_TIMED_OUT, kafka_calls.NOT_CONTROLLER)
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


def load(cluster: LocalCluster, output: Path, parameters: Mapping[str, Any],
         seed: int) -> LoadGenerator:
    """An open loop on the load's topic, with a consumer on the same clock."""
    return LoadGenerator("produce", cluster.bootstrap, output, topic=LOAD_TOPIC,
                         rate=parameters["rate"], acks="all", idempotence=True,
                         record_bytes=parameters["record_bytes"], warmup=WARMUP_S, seed=seed)


def result_of(output: Path) -> dict[str, float | None]:
    """What a load found: milliseconds from the intended time of a record, and acks per second.
    Records that failed count as the latest of all."""
    found = _summary(output)
    latency, measured = found["latency_ms"], found["measured"]
    produced, fetched = latency["response"], latency["end_to_end"]
    lost = measured["fail"] + measured["info"]
    seconds = (found["offered_until_ns"] - found["measured_from_ns"]) / 1e9
    return {"produce_p50_ms": produced.get("p50"),
            "produce_p99_ms": None if lost * 100 > measured["offered"] else produced.get("p99"),
            "fetch_p50_ms": fetched.get("p50"), "fetch_p99_ms": fetched.get("p99"),
            "lag_p99_ms": latency["lag"].get("p99"),
            "acks_per_s": measured["ok"] / seconds if seconds > 0 else None,
            "failed": float(lost)}


def resampled_of(output: Path, seed: int) -> dict[str, list[float | None]]:
    """How the p99 of a load's produce requests, and of the records' way to the consumer, might have
    come out: `resampled_p99` of each. None for one that a lost record takes."""
    operations = load_operations(output)
    measured = operations.intended >= _summary(output)["measured_from_ns"]
    intended = operations.intended[measured]
    acked = np.where(operations.ok, operations.completed, np.inf)[measured]
    read = {id_: row["time"] for row in lines(output / "polls.jsonl") for id_ in row["ids"]}
    fetched = np.array([read.get(id_, np.inf) for id_ in operations.ids[measured].tolist()])
    drawn = {"produce": resampled_p99(intended, (acked - intended) / 1e6, seed),
             "fetch": resampled_p99(intended, (fetched - intended) / 1e6, seed)}
    return {of: [round(v, 4) if np.isfinite(v) else None for v in values]
            for of, values in drawn.items()}


def resampled_p99(intended_ns: np.ndarray, latency_ms: np.ndarray, seed: int) -> list[float]:
    """The p99 of as many seconds as there are, drawn anew with repetition, RESAMPLES times. Whole
    seconds are drawn, since what delays a record delays its neighbours. Requires: the intended
    times are in order. Nothing without records."""
    if intended_ns.size == 0:
        return []
    second = (intended_ns - intended_ns[0]) // BLOCK_NS
    blocks = np.split(latency_ms, np.flatnonzero(np.diff(second)) + 1)
    random = np.random.default_rng(seed)
    return [quantile(np.concatenate([blocks[i] for i in random.integers(len(blocks),
                                                                        size=len(blocks))]), 0.99)
            for _ in range(RESAMPLES)]


def _summary(output: Path) -> dict[str, Any]:
    return json.loads((output / "result.json").read_text())


def grow(cluster: LocalCluster, groups: Sequence[Sequence[Topic]], timeout: float) -> int:
    """Makes the topics, a request after the other; returns how many had to be asked for again. A
    controller that loses its office in the middle of a request cannot say what became of it
    (REQUEST_TIMED_OUT, at once): its successor removes what is half made, and what is whole exists.
    Errors: kafka_calls.CallError."""
    again = 0
    for group in groups:
        left, is_open = list(group), False
        for _ in range(GROWTH_TRIES):
            codes = kafka_calls.try_create(cluster.controller().endpoint, left, timeout)
            done = {kafka_calls.NONE} | ({kafka_calls.TOPIC_ALREADY_EXISTS} if is_open else set())
            left = [t for t in left if codes[t.name] not in done]
            if any(codes[t.name] not in OPEN_ERRORS for t in left):
                break
            if not left:
                break
            is_open = True
            again += len(left)
        kafka_calls.check({t.name: codes[t.name] for t in left})
    return again
