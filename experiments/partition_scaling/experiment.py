"""What a cluster of three processes does with up to a million partitions: the points of a trial,
and what the figures say."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments import figures, kafka_calls, storage_bench
from experiments.definition import numbers
from experiments.kafka_calls import Topic
from experiments.partition_scaling import measuring
from experiments.partition_scaling.measuring import (LOAD_TOPIC, NODES, load, resampled_of,
                                                      result_of)
from experiments.report import Observation, Run, number
from experiments.runner import Trial, Unavailable
from experiments.stats import CONFIDENCE, quantile
from experiments.storage_bench import Recorder, curve
from harness.cluster import ClusterError, LocalCluster

MIB = 1 << 20
REQUEST_PARTITIONS = 100_000
CREATE_TIMEOUT = 300.0  # Seconds, of one request.
RESTART_TIMEOUT = 400.0
LOADS = ("before", "meanwhile", "after")
BOUNDS = ("p99_ratio_low", "p99_ratio_high")
TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)


def run_trial(trial: Trial) -> None:
    record = Recorder(trial)
    for partitions in numbers(trial.parameters["partitions"]):
        trial.say(f"{number(partitions)} partitions")
        root = trial.scratch / str(partitions)
        cluster = _cluster(trial, root)
        try:
            with cluster:
                record.add(_point(trial, cluster, partitions), partitions=partitions)
        finally:
            shutil.rmtree(root, ignore_errors=True)


def _cluster(trial: Trial, root: Path) -> LocalCluster:
    """Errors: Unavailable, when this build has no such plane."""
    config = {"durability": str(trial.parameters["durability"])}
    if trial.cell["plane"] == "zk":
        config["zookeeper.max.in.flight.requests"] = str(trial.parameters["zk_in_flight"])
    try:
        return LocalCluster(root, brokers=NODES, plane=trial.cell["plane"],
                            layout=trial.cell["layout"], config=config)
    except ClusterError as error:
        raise Unavailable(str(error)) from error


def _point(trial: Trial, cluster: LocalCluster, partitions: int) -> dict[str, Any]:
    """A cluster that gets so many partitions, or a third of them where each has three copies."""
    p, copies = trial.parameters, int(trial.cell["copies"])
    distinct = max(1, partitions // copies)
    active = min(distinct, p["active_max"])
    kafka_calls.create(cluster.controller().endpoint, [Topic(LOAD_TOPIC, active, copies)],
                       CREATE_TIMEOUT)
    measuring.wait_open(cluster, active * copies)
    line: dict[str, Any] = {"replicas": distinct * copies, "active": active, "loads": {},
                            "resampled_p99_ms": {},
                            "memory_before": measuring.usages(cluster)}
    _loads(trial, cluster, line, distinct, copies)
    line["memory"] = measuring.usages(cluster)
    line["restart_s"] = {}
    for end in ("stopped", "killed"):
        trial.say(f"{number(partitions)} partitions: a broker that was {end} comes back")
        line["restart_s"][end] = _restart(cluster, end, distinct * copies)
    return line


def _loads(trial: Trial, cluster: LocalCluster, line: dict[str, Any], distinct: int,
           copies: int) -> None:
    p = trial.parameters
    wanted = f"{number(distinct)} partitions"
    for name in LOADS:
        trial.say(f"{wanted}: load {name}")
        output = cluster.root / name
        with load(cluster, output, p, trial.seed) as running:
            running.wait_measuring(60)
            if name == "meanwhile":
                line |= _grow(trial, cluster, distinct - line["active"], copies, line["replicas"])
                running.check()
            else:
                time.sleep(p["seconds"])
        line["loads"][name] = result_of(output)
        line["resampled_p99_ms"][name] = resampled_of(output, trial.seed)


def _grow(trial: Trial, cluster: LocalCluster, more: int, copies: int,
          replicas: int) -> dict[str, Any]:
    """Nothing where there is nothing to grow, so that no number is made of it."""
    if more <= 0:
        time.sleep(trial.parameters["seconds"])
        return {}
    topics = measuring.topics_of(more, trial.parameters["partitions_per_topic"], copies)
    groups = measuring.requests_of(topics, REQUEST_PARTITIONS)
    begun = time.monotonic()
    again = measuring.grow(cluster, groups, CREATE_TIMEOUT)
    acked = time.monotonic()
    measuring.wait_open(cluster, replicas)
    return {"created": more, "asked_again": again, "acked_s": acked - begun,
            "create_s": time.monotonic() - begun}


def _restart(cluster: LocalCluster, end: str, replicas: int) -> float:
    """Seconds from the start of a broker until it serves and all replicas are open. It is not the
    controller."""
    controller = cluster.controller()
    node = next(n for n in cluster.nodes.values() if n is not controller)
    if end == "killed":
        node.kill()
    else:
        node.stop(RESTART_TIMEOUT)
    begun = time.monotonic()
    node.start(timeout=RESTART_TIMEOUT)
    measuring.wait_open(cluster, replicas)
    return time.monotonic() - begun


def observe(directory: Path, parameters: Mapping[str, Any]) -> list[Observation]:
    found = []
    for line in storage_bench.read(directory):
        at = line["point"]
        for metric, value in _numbers(line).items():
            found.append(Observation(metric, value, at))
        for load_name, results in line["loads"].items():
            found += [Observation(metric, value, {**at, "load": load_name})
                      for metric, value in results.items()]
        found += [Observation("restart_s", seconds, {**at, "end": end})
                  for end, seconds in line["restart_s"].items()]
        found += [Observation("p99_ratio", value, {**at, "of": of, "load": load_name})
                  for of, load_name, value in _ratios(line["loads"])]
        found += [Observation(metric, value, {**at, "of": of, "load": load_name})
                  for of, load_name, bounds in _bounds(line["resampled_p99_ms"])
                  for metric, value in zip(BOUNDS, bounds, strict=True)]
    return found


def _numbers(line: Mapping[str, Any]) -> dict[str, float | None]:
    nodes = line["memory"].values()
    rss = sum(n["rss_bytes"] for n in nodes)
    empty = sum(n["rss_bytes"] for n in line["memory_before"].values())
    grown = line.get("created")
    return {"memory_mib": rss / MIB,
            "peak_memory_mib": sum(n["peak_bytes"] for n in nodes) / MIB,
            "bytes_per_partition": (rss - empty) / grown if grown else None,
            "files": sum(n["files"] for n in nodes),
            "descriptors": max(n["descriptors"] for n in nodes),
            "create_s": line.get("create_s")}


def _ratios(loads: Mapping[str, Mapping[str, float | None]]) -> list[tuple[str, str, float | None]]:
    """p99 under each load over that of the same cluster before it grew."""
    found = []
    for of in ("produce", "fetch"):
        before = loads["before"][f"{of}_p99_ms"]
        for name in LOADS[1:]:
            now = loads[name][f"{of}_p99_ms"]
            found.append((of, name, now / before if before and now is not None else None))
    return found


def _bounds(drawn: Mapping[str, Mapping[str, Sequence[float | None]]]
            ) -> list[tuple[str, str, tuple[float | None, float | None]]]:
    """Between which the ratio lies, by how each of its two might have come out. None is as late as
    can be."""
    found = []
    for of in ("produce", "fetch"):
        for name in LOADS[1:]:
            pairs = zip(drawn[name][of], drawn["before"][of], strict=False)
            ratios = [np.inf if now is None else now / before for now, before in pairs if before]
            low, high = (quantile(np.array(ratios), q) if ratios else np.inf for q in TAILS)
            found.append((of, name, (low if np.isfinite(low) else None,
                                     high if np.isfinite(high) else None)))
    return found


def draw(run: Run, directory: Path) -> dict[str, str]:
    counts = numbers(run.parameters["partitions"])

    def chart(title: str, unit: str, metric: str, **params: str) -> figures.Chart:
        return figures.Chart(title, "partitions", unit,
                             {system: curve(run, metric, system, "partitions", counts, **params)
                              for system in run.systems})

    figures.charts([chart("memory of all processes", "MiB", "memory_mib"),
                    chart("of each partition", "bytes", "bytes_per_partition"),
                    chart("files", "files", "files"),
                    chart("open descriptors of a process", "files", "descriptors")],
                   directory / "memory", columns=2, order=run.systems)
    figures.charts([chart("until all are open", "s", "create_s"),
                    chart("a broker comes back, stopped", "s", "restart_s", end="stopped"),
                    chart("a broker comes back, killed", "s", "restart_s", end="killed")],
                   directory / "times", order=run.systems)
    figures.charts([chart(f"{of}, {name}", "p99 (ms)", f"{of}_p99_ms", load=name)
                    for of in ("produce", "fetch") for name in LOADS],
                   directory / "latency", order=run.systems)
    figures.charts([chart("produce p99 meanwhile", "times that before", "p99_ratio",
                          of="produce", load="meanwhile"),
                    chart("fetch p99 meanwhile", "times that before", "p99_ratio", of="fetch",
                          load="meanwhile")],
                   directory / "meanwhile", order=run.systems)
    return {"memory": _say(run, "memory_mib", "MiB"), "times": _say(run, "create_s", "s"),
            "latency": _say(run, "produce_p99_ms", "ms", load="after"),
            "meanwhile": _say(run, "p99_ratio", "times", of="produce", load="meanwhile"),
            "verdict": _verdict(run)}


def _largest(run: Run, metric: str, system: str, **params: str) -> tuple[float, Any] | None:
    points = curve(run, metric, system, "partitions", numbers(run.parameters["partitions"]),
                   **params)
    return points[-1] if points else None


def _say(run: Run, metric: str, unit: str, **params: str) -> str:
    said = []
    for system in run.systems:
        found = _largest(run, metric, system, **params)
        if found:
            said.append(f"{system}: {storage_bench.interval(found[1], unit)} with "
                        f"{number(found[0])}")
    return f"{'; '.join(said)} partitions." if said else ""


def _between(low: tuple[float, Any] | None, high: tuple[float, Any] | None) -> str:
    if low is None or high is None:
        return ""
    return f" ({number(low[1].median)} to {number(high[1].median)})"


def _verdict(run: Run) -> str:
    said = []
    for system in run.systems:
        memory, created = (_largest(run, m, system) for m in ("memory_mib", "create_s"))
        ratio, low, high = (_largest(run, m, system, of="produce", load="meanwhile")
                            for m in ("p99_ratio", *BOUNDS))
        if memory and created and ratio and memory[0] == created[0] == ratio[0]:
            said.append(f"{number(memory[0])} partitions on {system} take "
                        f"{number(memory[1].median)} MiB and come in "
                        f"{number(created[1].median)} s, with a p99 of produce requests meanwhile "
                        f"{number(ratio[1].median)} times that of before{_between(low, high)}")
    return f"{'; '.join(said)}." if said else ""
