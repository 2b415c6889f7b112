"""A cluster of real node processes on this machine.

    with LocalCluster(Path("run"), brokers=3) as cluster:
        cluster.leader("topic").kill()

Under its root: `cluster.json` (ids, ports, pids), and per node `node-1/` with `node.properties`,
`data/`, `trace.ndjson`, `stdout` and `stderr`.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from harness import control, waiting
from harness.host import Host, LocalHost, Process, wait_dead

T = TypeVar("T")

BUILD = Path(os.environ.get("QLAB_BUILD_DIR", control.REPOSITORY / "build"))  # Of another profile.
BINARY = BUILD / "broker" / "qlab-node"
BROKERS_MAX = 99
# Presets of the controller's design and of the consensus module beneath it.
PLANES = {"raft": ("quorum", "raft"), "kraft": ("quorum", "kraft"), "zk": ("zk", "zab")}
READY_TIMEOUT = 30.0  # Seconds; generous, since a loaded machine elects slowly.
STOP_TIMEOUT = 30.0  # Seconds that a controlled shutdown may take.


class ClusterError(Exception):
    """The cluster cannot do it; the message says what to do or shows the node's own words."""


class Node:
    """One node of a cluster: a process that comes and goes, and a directory that stays."""

    def __init__(self, host: Host, id_: int, directory: Path, binary: Path, config: dict[str, str],
                 process: Process | None = None) -> None:
        self.host = host
        self.id = id_
        self.directory = directory
        self.binary = binary
        self.config = config  # Of node.properties; a change counts from the next start.
        self.env: dict[str, str] = {}  # Added to the environment from the next start on.
        self.process = process
        self.paused = False
        self._stdout_offset = 0  # Where the present process's output begins.
        self._stderr_offset = 0

    def __repr__(self) -> str:
        return f"<node {self.id} {'alive' if self.alive else 'down'} kafka={self.endpoint}>"

    @property
    def endpoint(self) -> str:
        """host:port of the Kafka protocol."""
        return self.config["listener"]

    @property
    def peer_endpoint(self) -> str:
        """host:port of the calls between nodes and of the control service."""
        return self.config["peer.listener"]

    @property
    def keeper_endpoint(self) -> str | None:
        """host:port of this node's server of the keeper, on the zk design's controllers."""
        return self.config.get("keeper.listener")

    @property
    def data(self) -> Path:
        return Path(self.config["log.dir"])

    @property
    def alive(self) -> bool:
        """True while there is a process, also a paused one."""
        return self.process is not None and self.host.alive(self.process)

    @property
    def exit_status(self) -> int | None:
        """Of the last process: None while it is alive or never was, negative for a signal."""
        return None if self.process is None else self.host.exit_status(self.process)

    def start(self, *, wait: bool = True, timeout: float = READY_TIMEOUT) -> None:
        """Starts the process and, if `wait`, returns when it is ready.

        Errors: ClusterError when it is alive already, ends before it is ready, or takes longer than
        `timeout` seconds; with the tail of its stderr.
        """
        if self.alive:
            raise ClusterError(f"node {self.id} is alive already")
        if not os.access(self.binary, os.X_OK):
            raise ClusterError(f"{self.binary} is missing; build it with ./qlab build")
        properties = "".join(f"{key}={value}\n" for key, value in self.config.items())
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "node.properties").write_text(properties)
        self._stdout_offset = _size(self.directory / "stdout")
        self._stderr_offset = _size(self.directory / "stderr")
        self.paused = False
        self.process = self.host.start(
            [str(self.binary), "--config", str(self.directory / "node.properties")],
            self.directory, self.env)
        if wait:
            self.wait_ready(timeout)

    @property
    def ready(self) -> bool:
        """True when the present process has said that it serves."""
        out = self.host.tail(self.directory / "stdout", offset=self._stdout_offset)
        return self.alive and re.search(r"^ready .*\n", out, re.MULTILINE) is not None

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> None:
        """Errors: ClusterError as of `start`."""
        deadline = time.monotonic() + timeout
        while not self.ready:
            if not self.alive:
                raise ClusterError(
                    f"node {self.id} ended with status {self.exit_status} before it was ready; "
                    f"the end of {self.directory / 'stderr'}:\n{self.stderr_tail()}")
            if time.monotonic() >= deadline:
                raise ClusterError(
                    f"node {self.id} was not ready after {timeout:g} s; "
                    f"the end of {self.directory / 'stderr'}:\n{self.stderr_tail()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone. A dead node is no error."""
        self.send_signal(signal.SIGKILL)
        if self.process is not None and not wait_dead(self.host, self.process, 10):
            raise ClusterError(f"node {self.id} (pid {self.process.pid}) outlived SIGKILL by 10 s")
        self.paused = False

    def stop(self, timeout: float = STOP_TIMEOUT) -> int | None:
        """SIGTERM, a controlled shutdown; returns the exit status.

        Errors: ClusterError after `timeout` seconds; the process is left as it is.
        """
        self.resume()
        self.send_signal(signal.SIGTERM)
        if self.process is not None and not wait_dead(self.host, self.process, timeout):
            raise ClusterError(f"node {self.id} did not stop within {timeout:g} s of SIGTERM; "
                               f"the end of its stderr:\n{self.stderr_tail()}")
        return self.exit_status

    def restart(self, *, wait: bool = True, timeout: float = READY_TIMEOUT) -> None:
        """Starts the node again, after a controlled shutdown if it is alive. Errors: as `start`."""
        if self.alive:
            self.stop()
        self.start(wait=wait, timeout=timeout)

    def pause(self) -> None:
        """SIGSTOP: the process keeps its sockets and memory and does nothing until `resume`."""
        self.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        """SIGCONT. A node that is not paused is no error."""
        self.send_signal(signal.SIGCONT)
        self.paused = False

    def stderr_tail(self, lines: int = 20) -> str:
        """The last lines that the present (or last) process wrote to stderr."""
        text = self.host.tail(self.directory / "stderr", offset=self._stderr_offset)
        return "\n".join(text.splitlines()[-lines:]) or "(nothing)"

    def status(self, timeout: float = 2.0, *, partitions: bool = True) -> control.NodeStatus:
        """Asks the control service, as control.status. Errors: control.ControlError."""
        return control.status(self.peer_endpoint, timeout, partitions=partitions)

    def send_signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.host.signal(self.process, number)


class LocalCluster:
    """Nodes 1..brokers, all of them brokers, the first `controllers` of them voters as well.

    `plane` is a preset (PLANES); `controller` (quorum, zk) and `module` (raft, kraft, zab) take the
    place of its parts, so every pair can be had. `config` is added to every node's properties and
    wins over what the cluster chooses itself. Constructing writes nothing; `start` (or `with`)
    does. Ports are chosen once and kept.

    Errors: ClusterError when a number is out of its bounds.
    """

    def __init__(self, root: Path, *, brokers: int = 3, controllers: int | None = None,
                 engine: str = "buffered", layout: str = "per_partition", plane: str = "raft",
                 controller: str | None = None, module: str | None = None,
                 config: Mapping[str, str] | None = None,
                 binary: Path | None = None, host: Host | None = None) -> None:
        if not 1 <= brokers <= BROKERS_MAX:
            raise ClusterError(f"brokers is {brokers}; allowed: 1 to {BROKERS_MAX}")
        if controllers is None:
            controllers = 3 if brokers >= 3 else 1
        if not 1 <= controllers <= brokers:
            raise ClusterError(f"controllers is {controllers}; allowed: 1 to {brokers} (brokers)")
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
        ports = self.host.free_ports(2 * brokers + controllers)
        keepers = {i: f"{self.host.address}:{ports[2 * brokers + i - 1]}"
                   for i in range(1, controllers + 1)} if self.controller_design == "zk" else {}
        peers = {i: f"{self.host.address}:{ports[2 * i - 1]}" for i in range(1, brokers + 1)}
        voters = ",".join(f"{i}@{peers[i]}" for i in range(1, controllers + 1))
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
                **({"keeper.connect": ",".join(keepers.values())} if keepers else {}),
                **({"keeper.listener": keepers[i]} if i in keepers else {}),
                "trace.file": str(directory / "trace.ndjson"), **self.overrides}
            self.nodes[i] = Node(self.host, i, directory, Path(binary or BINARY), properties)

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
            for node in self.nodes.values():
                if not node.alive:
                    node.start(wait=False)
                    started.append(node)
            self.save()
            while not all(node.ready for node in started):
                for node in started:
                    if not node.alive or time.monotonic() >= deadline:
                        node.wait_ready(0)
                time.sleep(0.01)
        except BaseException:
            for node in started:
                node.kill()
            raise

    def stop(self) -> None:
        """Controlled shutdown of every node, all at once; SIGKILL for one that takes over 10 s."""
        for node in self.nodes.values():
            node.resume()
            node.send_signal(signal.SIGTERM)
        for node in self.nodes.values():
            if node.process is not None and not wait_dead(self.host, node.process, 10):
                node.kill()

    def kill(self) -> None:
        """SIGKILL for every node at once; the page cache survives."""
        for node in self.nodes.values():
            node.send_signal(signal.SIGKILL)
        for node in self.nodes.values():
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
        state = {"cluster_id": self.cluster_id, "engine": self.engine, "layout": self.layout,
                 "controller_design": self.controller_design, "module": self.module,
                 "overrides": self.overrides,
                 "binary": str(self.nodes[1].binary), "nodes": nodes}
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
            cluster.nodes = {}
            for n in state["nodes"]:
                process = Process(n["pid"], n["start_ticks"]) if n["pid"] is not None else None
                cluster.nodes[n["id"]] = Node(cluster.host, n["id"], root / f"node-{n['id']}",
                                              Path(state["binary"]), n["config"], process)
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


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
