"""A cluster of real node processes on this machine.

    with LocalCluster(Path("run"), brokers=3) as cluster:
        cluster.leader("topic").kill()

Under its root: `cluster.json` (ids, ports, pids), and per node `node-1/` with `node.properties`,
`data/`, `trace.ndjson`, `stdout` and `stderr`; virtual nodes share the last two, in `process-1/`.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from harness import control, waiting
from harness.carrier import Carrier, VirtualNode
from harness.host import Host, LocalHost, Process, wait_dead
from harness.node import READY_TIMEOUT, ClusterError, Node

T = TypeVar("T")

BUILD = Path(os.environ.get("QLAB_BUILD_DIR", control.REPOSITORY / "build"))  # Of another profile.
BINARY = BUILD / "broker" / "qlab-node"
BROKERS_MAX = 300
# Presets of the controller's design and of the consensus module beneath it.
PLANES = {"raft": ("quorum", "raft"), "kraft": ("quorum", "kraft"), "zk": ("zk", "zab")}


class LocalCluster:
    """Nodes 1..brokers, all of them brokers, the first `controllers` of them voters as well.

    `plane` is a preset (PLANES); `controller` (quorum, zk) and `module` (raft, kraft, zab) take the
    place of its parts, so every pair can be had. With `per_process` above 1 the brokers that are no
    voters are virtual: so many of them share a process (carrier.py). `config` is added to every
    node's properties and wins over what the cluster chooses itself. Constructing writes nothing;
    `start` (or `with`) does. Ports are chosen once and kept.

    Errors: ClusterError when a number is out of its bounds.
    """

    def __init__(self, root: Path, *, brokers: int = 3, controllers: int | None = None,
                 engine: str = "buffered", layout: str = "per_partition", plane: str = "raft",
                 controller: str | None = None, module: str | None = None, per_process: int = 1,
                 config: Mapping[str, str] | None = None,
                 binary: Path | None = None, host: Host | None = None) -> None:
        if not 1 <= brokers <= BROKERS_MAX:
            raise ClusterError(f"brokers is {brokers}; allowed: 1 to {BROKERS_MAX}")
        if controllers is None:
            controllers = 3 if brokers >= 3 else 1
        if not 1 <= controllers <= brokers:
            raise ClusterError(f"controllers is {controllers}; allowed: 1 to {brokers} (brokers)")
        if per_process < 1:
            raise ClusterError(f"per_process is {per_process}; allowed: 1 or more")
        if plane not in PLANES:
            raise ClusterError(f"plane is {plane}; allowed: {', '.join(PLANES)}")
        self.root = Path(root).resolve()
        self.host = host or LocalHost()
        self.engine = engine
        self.layout = layout
        self.controller_design = controller or PLANES[plane][0]
        self.module = module or PLANES[plane][1]
        self.cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self.overrides = dict(config or {})
        self.per_process = per_process
        self.carriers: list[Carrier] = []
        virtual = brokers - controllers if per_process > 1 else 0
        processes = -(-virtual // per_process)
        ports = self.host.free_ports(2 * brokers + controllers + processes)
        keepers = {i: f"{self.host.address}:{ports[2 * brokers + i - 1]}"
                   for i in range(1, controllers + 1)} if self.controller_design == "zk" else {}
        peers = {i: f"{self.host.address}:{ports[2 * i - 1]}" for i in range(1, brokers + 1)}
        voters = ",".join(f"{i}@{peers[i]}" for i in range(1, controllers + 1))
        everybody = ",".join(f"{i}@{peers[i]}" for i in peers)
        self.nodes: dict[int, Node] = {}
        for i in range(1, brokers + 1):
            directory = self.root / f"node-{i}"
            properties = {
                "node.id": str(i), "cluster.id": self.cluster_id,
                "process.roles": "broker,controller" if i <= controllers else "broker",
                "log.dir": str(directory / "data"), "engine": engine, "log.layout": layout,
                "controller.design": self.controller_design, "consensus.module": self.module,
                "listener": f"{self.host.address}:{ports[2 * i - 2]}", "peer.listener": peers[i],
                "controller.quorum.voters": voters,
                **({"replicator.peers": everybody}
                   if self.overrides.get("replicator") == "consensus" else {}),
                **({"keeper.connect": ",".join(keepers.values())} if keepers else {}),
                **({"keeper.listener": keepers[i]} if i in keepers else {}),
                "trace.file": str(directory / "trace.ndjson"), **self.overrides}
            if i <= controllers or not virtual:
                self.nodes[i] = Node(self.host, i, directory, Path(binary or BINARY), properties)
                continue
            if (i - controllers - 1) % per_process == 0:
                number = len(self.carriers) + 1
                self.carriers.append(Carrier(
                    self.host, self.root / f"process-{number}", Path(binary or BINARY),
                    f"{self.host.address}:{ports[-number]}"))
            self.nodes[i] = VirtualNode(self.carriers[-1], i, directory, properties)

    @property
    def processes(self) -> list[Node | Carrier]:
        """What signals reach: nodes with a process of their own, and those that carry several."""
        return [n for n in self.nodes.values() if not isinstance(n, VirtualNode)] + self.carriers

    @property
    def bootstrap(self) -> str:
        """host:port,... of every node, for a client's bootstrap.servers."""
        return ",".join(node.endpoint for node in self.nodes.values())

    def start(self, timeout: float = READY_TIMEOUT) -> None:
        """Starts every node that is down and returns when all are ready.

        Errors: ClusterError with the tail of the failing node's stderr; what was started is killed.
        """
        deadline = time.monotonic() + timeout
        started: list[Node] = []
        try:
            for node in self.processes:
                if isinstance(node, Node) and not node.alive:
                    node.start(wait=False)
                    started.append(node)
            for carrier in self.carriers:
                down = [n for n in carrier.nodes if not n.alive]
                if down:
                    started += down
                    carrier.start(down)
            self.save()
            while not all(node.ready for node in started):
                for node in started:
                    if not node.alive or time.monotonic() >= deadline:
                        node.wait_ready(0)
                time.sleep(0.01)
        except BaseException:
            for carrier in self.carriers:  # Their nodes die with them.
                if all(n in started for n in carrier.nodes):
                    carrier.kill()
            for node in started:
                node.kill()
            raise

    def stop(self) -> None:
        """Controlled shutdown of every node, all at once; SIGKILL for one that takes over 10 s."""
        for node in self.processes:
            node.resume()
            node.send_signal(signal.SIGTERM)
        for node in self.processes:
            if node.process is not None and not wait_dead(self.host, node.process, 10):
                node.kill()

    def kill(self) -> None:
        """SIGKILL for every node at once; the page cache survives."""
        for node in self.processes:
            node.send_signal(signal.SIGKILL)
        for node in self.processes:
            node.kill()

    def __enter__(self) -> LocalCluster:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.kill()

    def save(self) -> None:
        """Writes cluster.json, from which `load` makes the cluster again in another process."""
        nodes = [{"id": n.id, "config": n.config,
                  "pid": n.process.pid if n.process else None,
                  "start_ticks": n.process.start_ticks if n.process else None}
                 for n in self.nodes.values()]
        carriers = [{"directory": c.directory.name, "address": c.address,
                     "nodes": [n.id for n in c.nodes]} for c in self.carriers]
        state = {"cluster_id": self.cluster_id, "engine": self.engine, "layout": self.layout,
                 "controller_design": self.controller_design, "module": self.module,
                 "overrides": self.overrides,
                 "binary": str(self.nodes[1].binary), "per_process": self.per_process,
                 "carriers": carriers, "nodes": nodes}
        self.root.mkdir(parents=True, exist_ok=True)
        scratch = self.root / "cluster.json.new"
        scratch.write_text(json.dumps(state, indent=1) + "\n")
        scratch.replace(self.root / "cluster.json")

    @classmethod
    def load(cls, root: Path, *, host: Host | None = None) -> LocalCluster:
        """The cluster that `save` described, with those of its processes that are still the same.

        Errors: FileNotFoundError when there is none; ClusterError when cluster.json is damaged.
        """
        root = Path(root).resolve()
        text = (root / "cluster.json").read_text()
        try:
            state = json.loads(text)
            cluster = cls.__new__(cls)
            cluster.root = root
            cluster.host = host or LocalHost()
            cluster.engine = state["engine"]
            cluster.layout = state.get("layout", "per_partition")
            cluster.controller_design = state["controller_design"]
            cluster.module = state["module"]
            cluster.cluster_id = state["cluster_id"]
            cluster.overrides = state["overrides"]
            cluster.per_process = state.get("per_process", 1)
            binary = Path(state["binary"])
            cluster.carriers = []
            carriers: dict[int, Carrier] = {}
            for c in state.get("carriers", ()):
                cluster.carriers.append(
                    Carrier(cluster.host, root / c["directory"], binary, c["address"]))
                carriers |= {id_: cluster.carriers[-1] for id_ in c["nodes"]}
            cluster.nodes = {}
            for n in state["nodes"]:
                process = Process(n["pid"], n["start_ticks"]) if n["pid"] is not None else None
                directory = root / f"node-{n['id']}"
                if (carrier := carriers.get(n["id"])) is not None:
                    carrier.process = process
                    cluster.nodes[n["id"]] = VirtualNode(carrier, n["id"], directory, n["config"])
                else:
                    cluster.nodes[n["id"]] = Node(cluster.host, n["id"], directory, binary,
                                                  n["config"], process)
            return cluster
        except (ValueError, KeyError, TypeError) as error:
            raise ClusterError(
                f"{root / 'cluster.json'} is damaged ({error!r}); remove {root}") from error

    def status(self, node: int | Node) -> control.NodeStatus:
        """Errors: control.ControlError when the node does not answer."""
        return (node if isinstance(node, Node) else self.nodes[node]).status()

    def statuses(self, *, partitions: bool = True) -> dict[int, control.NodeStatus]:
        """The answers of all nodes that answer; paused ones are not asked."""
        answers: dict[int, control.NodeStatus] = {}
        for node in self.nodes.values():
            if node.alive and not node.paused:
                try:
                    answers[node.id] = node.status(partitions=partitions)
                except control.ControlError:
                    pass
        return answers

    def leader(self, topic: Any, partition: int = 0, timeout: float = 20.0) -> Node:
        """The live leader of a partition (topic: a name, or anything with a `name`).

        Waits for an election. Errors: waiting.WaitTimeout.
        """
        name = getattr(topic, "name", topic)

        def elected() -> Node | None:
            views = [p for s in self.statuses().values() if (p := s.partition(name, partition))]
            newest = max(views, key=lambda p: p.leader_epoch, default=None)
            if newest is None or newest.leader < 0:
                return None
            node = self.nodes[newest.leader]
            return node if node.alive and not node.paused else None

        return self.wait_for(elected, timeout, f"a leader of {name}-{partition}")

    def controller(self, timeout: float = 20.0) -> Node:
        """The active controller's node. Waits for an election. Errors: waiting.WaitTimeout."""

        def active() -> Node | None:
            claims = [(s.controller_epoch, i) for i, s in self.statuses(partitions=False).items()
                      if s.controller_active]
            return self.nodes[max(claims)[1]] if claims else None

        return self.wait_for(active, timeout, "an active controller")

    def wait_for(self, pred: Callable[[], T | None], timeout: float, what: str) -> T:
        """`waiting.wait_for`; a timeout also names the nodes that are down."""
        try:
            return waiting.wait_for(pred, timeout, what)
        except waiting.WaitTimeout as error:
            down = [n.id for n in self.nodes.values() if not n.alive]
            raise waiting.WaitTimeout(f"{error}; nodes down: {down or 'none'}") from None
