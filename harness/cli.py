"""`./qlab cluster up|down|status`: one cluster that stays, under .qlab/cluster/.

Each function prints for people and returns the exit status of the command: 0 done, 1 not done.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ParamSpec

from harness import control
from harness.cluster import PLANES, ClusterError, LocalCluster

ROOT = control.REPOSITORY / ".qlab" / "cluster"
P = ParamSpec("P")


def _command(body: Callable[P, int]) -> Callable[P, int]:
    """Prints what the cluster cannot do as one error, and makes it exit status 1."""

    @functools.wraps(body)
    def command(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return body(*args, **kwargs)
        except (ClusterError, OSError) as error:
            print(f"cluster {body.__name__}: {error}", file=sys.stderr)
            return 1

    return command


@_command
def up(*, brokers: int | None = None, controllers: int | None = None, engine: str | None = None,
       plane: str | None = None, controller: str | None = None, module: str | None = None,
       per_process: int | None = None, config: Mapping[str, str] | None = None,
       binary: Path | None = None, root: Path = ROOT) -> int:
    """Returns when the cluster serves, leaves it running, prints its bootstrap servers last.

    What is None comes from the cluster that is there, else it is 3 brokers on engine buffered,
    plane raft. `controller` and `module` take the place of the plane's. `per_process`: so many of
    the brokers that are no voters share a process.
    Nodes that are down (after `down`, a crash or a reboot) are started again over their data.
    """
    cluster = _find(root)
    fresh = cluster is None
    if cluster is None:
        cluster = LocalCluster(root, brokers=3 if brokers is None else brokers,
                               controllers=controllers, engine=engine or "buffered",
                               plane=plane or "raft", controller=controller, module=module,
                               per_process=per_process or 1, config=config,
                               binary=binary)
    else:
        if plane is not None:
            controller = controller or PLANES[plane][0]
            module = module or PLANES[plane][1]
        _refuse_another_shape(cluster, {
            "brokers": brokers, "controllers": controllers, "engine": engine,
            "controller": controller, "module": module, "per_process": per_process,
            "config": dict(config) if config else None})
    down_before = [node for node in cluster.nodes.values() if not node.alive]
    if down_before:
        print(f"Starting {len(down_before)} of {len(cluster.nodes)} nodes, controller "
              f"{cluster.controller_design} on {cluster.module}, engine {cluster.engine}, under "
              f"{cluster.root}", flush=True)
        try:
            cluster.start()
        except BaseException:
            if fresh:  # What never served must not shape the next try.
                shutil.rmtree(root, ignore_errors=True)
            raise
    else:
        print("The cluster is up already.")
    print(cluster.bootstrap)
    return 0


@_command
def down(*, wipe: bool = False, root: Path = ROOT) -> int:
    """Stops the cluster, controlled; with `wipe` its data and its ports are forgotten as well."""
    cluster = _find(root)
    if cluster is None:
        print("There is no cluster.")
        return 0
    count = sum(node.alive for node in cluster.nodes.values())
    cluster.stop()
    print(f"Stopped {count} of {len(cluster.nodes)} nodes.")
    if wipe:
        shutil.rmtree(root)
        print("Wiped its data.")
    else:
        print(f"Its data stays in {root}; ./qlab cluster up starts it again, "
              "./qlab cluster down --wipe forgets it.")
    return 0


@_command
def status(*, as_json: bool = False, root: Path = ROOT) -> int:
    """Prints the nodes, the controller and the partitions; returns 1 unless every node answers."""
    cluster = _find(root)
    if cluster is None:
        raise ClusterError("there is no cluster; ./qlab cluster up starts one")
    answers = cluster.statuses()
    if as_json:
        nodes = {i: dataclasses.asdict(answer) for i, answer in answers.items()}
        print(json.dumps({"bootstrap": cluster.bootstrap, "engine": cluster.engine,
                          "nodes": nodes}, indent=1))
    else:
        _print_status(cluster, answers)
    return 0 if len(answers) == len(cluster.nodes) else 1


def _find(root: Path) -> LocalCluster | None:
    try:
        return LocalCluster.load(root)
    except FileNotFoundError:
        return None


def _refuse_another_shape(cluster: LocalCluster, asked: Mapping[str, object]) -> None:
    there = {"brokers": len(cluster.nodes),
             "controllers": cluster.nodes[1].config["controller.quorum.voters"].count("@"),
             "engine": cluster.engine, "controller": cluster.controller_design,
             "module": cluster.module, "per_process": cluster.per_process,
             "config": cluster.overrides}
    for name, value in asked.items():
        if value is not None and value != there[name]:
            raise ClusterError(f"there is a cluster with {name} {there[name]} in {cluster.root}, "
                               f"not {value}; forget it first with ./qlab cluster down --wipe")


def _print_status(cluster: LocalCluster, answers: Mapping[int, control.NodeStatus]) -> None:
    for node in cluster.nodes.values():
        answer = answers.get(node.id)
        if not node.alive:
            words = f"down; see {node.output / 'stderr'}"
        elif answer is None:
            words = "alive, but does not answer"
        else:
            quorum = answer.consensus
            words = "ready" if answer.ready else "starting"
            words += f", {quorum.role} in epoch {quorum.epoch}" if quorum else ""
            words += ", active controller" if answer.controller_active else ""
        print(f"node {node.id}  {node.endpoint}  {words}")
    newest: dict[tuple[str, int], control.PartitionStatus] = {}
    for answer in answers.values():
        for p in answer.partitions:
            known = newest.get((p.topic, p.partition))
            if known is None or (p.leader_epoch, p.leader == answer.node_id) > (
                    known.leader_epoch, False):
                newest[p.topic, p.partition] = p
    for (topic, partition), p in sorted(newest.items()):
        print(f"{topic}-{partition}  leader {p.leader} (epoch {p.leader_epoch})  isr {list(p.isr)} "
              f"of {list(p.replicas)}  offsets {p.log_start}..{p.high_watermark}")
    print(f"bootstrap {cluster.bootstrap}")
