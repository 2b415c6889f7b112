"""Consensus groups as processes on this machine: our modules, etcd and ZooKeeper, started, watched,
hurt and ended in the same words. And qlab-consensus-load, which writes to any of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from experiments.provenance import ROOT
from experiments.runner import Unavailable

MODULES = ("raft", "kraft", "zab")
PEERS = ("etcd", "zookeeper")
SYSTEMS = (*MODULES, *PEERS)
ZOOKEEPER_JARS = ("/usr/share/java/zookeeper.jar",)
HEARTBEATS_PER_DETECTION = 5  # Of the profile equal_budget, for every system.
HOST = "127.0.0.1"
START_SECONDS = 40.0
STOP_SECONDS = 10.0


class GroupError(Exception):
    """A group did not do what was asked; the message has its own words."""


@dataclass(frozen=True)
class GroupOptions:
    """What is the same for every system, each in its own flags."""

    size: int = 3
    durable: bool = True
    profile: str = "equal_budget"
    detection_ms: int = 500
    transport: str = "tcp"
    """Ours only."""
    engine: str = "direct"
    """Ours only."""
    trace: bool = False
    """Ours only."""


@dataclass
class Member:
    number: int
    """From 1."""
    endpoint: str
    """Where clients connect."""
    process: subprocess.Popen[bytes]
    directory: Path


@dataclass
class Group:
    """A running group. Leaving the block ends it."""

    system: str
    options: GroupOptions
    directory: Path
    members: list[Member] = field(default_factory=list)

    def __enter__(self) -> Group:
        try:
            _START[_kind(self.system)](self)
            self.wait_leader(START_SECONDS)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for member in self.members:
            if member.process.poll() is None:
                member.process.send_signal(signal.SIGCONT)
                member.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for member in self.members:
            try:
                member.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                member.process.kill()
                member.process.wait()

    @property
    def endpoints(self) -> list[str]:
        return [member.endpoint for member in self.members]

    def leader(self, among: Sequence[Member] | None = None) -> Member | None:
        """The member that says it leads, as seen by itself."""
        for member in among if among is not None else self.members:
            try:
                if _LEADS[_kind(self.system)](member):
                    return member
            except (OSError, ValueError):
                continue
        return None

    def wait_leader(self, timeout: float) -> Member:
        """Errors: GroupError, with the end of a member's log."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if (leader := self.leader()) is not None:
                return leader
            for member in self.members:
                if member.process.poll() is not None:
                    raise GroupError(f"{self.system}: member {member.number} ended with status "
                                     f"{member.process.returncode}: {_log_end(member)}")
            time.sleep(0.05)
        raise GroupError(f"{self.system}: no leader after {timeout:.0f} s: "
                         f"{_log_end(self.members[0])}")


def missing(system: str) -> str | None:
    """Why a system cannot be started here, or None."""
    if system == "etcd" and shutil.which("etcd") is None:
        return "etcd is not installed (Debian: etcd-server)"
    if system == "zookeeper":
        if shutil.which("java") is None:
            return "java is not installed (Debian: default-jre-headless)"
        absent = [jar for jar in ZOOKEEPER_JARS if not Path(jar).is_file()]
        if absent:
            return f"{absent[0]} is missing (Debian: zookeeper)"
    return None


def require(system: str) -> None:
    """Errors: Unavailable."""
    if (why := missing(system)) is not None:
        raise Unavailable(why)


def timeouts(options: GroupOptions, system: str) -> dict[str, int]:
    """The timeouts of a system in ms, for the report and for the peers' flags."""
    detection = options.detection_ms
    if options.profile == "equal_budget":
        heartbeat = max(1, detection // HEARTBEATS_PER_DETECTION)
        return {"heartbeat": heartbeat, "detection": detection}
    shipped = {"etcd": (100, 1000), "raft": (100, 1000), "kraft": (500, 2000),
               "zookeeper": (2000, 10_000), "zab": (1000, 10_000)}
    heartbeat, detection = shipped[system]
    return {"heartbeat": heartbeat, "detection": detection}


def _kind(system: str) -> str:
    return "ours" if system in MODULES else system


def _log_end(member: Member) -> str:
    text = (member.directory / "log").read_text(errors="replace").strip()
    return text[-500:] or "it said nothing"


def program(name: str) -> Path:
    """A program of the build folder. Errors: GroupError when it is not built."""
    path = Path(os.environ.get("QLAB_BUILD_DIR", ROOT / "build")) / name
    if not os.access(path, os.X_OK):
        raise GroupError(f"{path} is missing; build it with ./qlab build")
    return path


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; all are held while they are drawn, so that they differ."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def _spawn(group: Group, number: int, endpoint: str, command: list[str]) -> None:
    directory = group.directory / f"{number}"
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    group.members.append(Member(number, endpoint, process, directory))


def _start_ours(group: Group) -> None:
    options, size = group.options, group.options.size
    ports = _free_ports(2 * size)
    voters = ",".join(f"{i + 1}@{HOST}:{ports[i]}" for i in range(size))
    for i in range(size):
        number, endpoint = i + 1, f"{HOST}:{ports[size + i]}"
        command = [str(program("consensus/node/qlab-consensus-node")), f"--id={number}",
                   f"--voters={voters}", f"--client={endpoint}", f"--module={group.system}",
                   f"--dir={group.directory / str(number) / 'data'}",
                   f"--transport={options.transport}",
                   f"--engine={options.engine}", "--log-level=warn",
                   f"--durability={'sync' if options.durable else 'none'}",
                   f"--profile={options.profile}", f"--detection-ms={options.detection_ms}"]
        if options.trace:
            command.append(f"--trace={group.directory / f'trace-{number}.jsonl'}")
        _spawn(group, number, endpoint, command)


def _leads_ours(member: Member) -> bool:
    status = _ask(member, struct.pack(">IBQ", 9, 3, 0)).decode(errors="replace")
    return f"leader={member.number} " in status and (" commit=0 " not in status
                                                     or "role=leading" in status)


def _start_etcd(group: Group) -> None:
    require("etcd")
    size, times = group.options.size, timeouts(group.options, "etcd")
    ports = _free_ports(2 * size)
    cluster = ",".join(f"m{i + 1}=http://{HOST}:{ports[i]}" for i in range(size))
    for i in range(size):
        number, endpoint = i + 1, f"{HOST}:{ports[size + i]}"
        peer = f"http://{HOST}:{ports[i]}"
        command = ["etcd", "--name", f"m{number}", "--data-dir",
                   str(group.directory / str(number) / "data"), "--listen-peer-urls", peer,
                   "--initial-advertise-peer-urls", peer, "--listen-client-urls",
                   f"http://{endpoint}", "--advertise-client-urls", f"http://{endpoint}",
                   "--initial-cluster", cluster, "--initial-cluster-state", "new", "--logger",
                   "zap", "--log-level", "error", "--quota-backend-bytes", str(8 << 30),
                   "--heartbeat-interval", str(times["heartbeat"]), "--election-timeout",
                   str(times["detection"])]
        if not group.options.durable:
            command.append("--unsafe-no-fsync")
        _spawn(group, number, endpoint, command)


def _leads_etcd(member: Member) -> bool:
    request = urllib.request.Request(f"http://{member.endpoint}/v3/maintenance/status", b"{}")
    with urllib.request.urlopen(request, timeout=1) as answer:
        status = json.load(answer)
    return status.get("leader") == status["header"]["member_id"]


def _start_zookeeper(group: Group) -> None:
    require("zookeeper")
    size, times = group.options.size, timeouts(group.options, "zookeeper")
    shipped = group.options.profile == "as_shipped"
    ports = _free_ports(3 * size)
    servers = "".join(f"server.{i + 1}={HOST}:{ports[i]}:{ports[size + i]}\n" for i in range(size))
    for i in range(size):
        number, port = i + 1, ports[2 * size + i]
        data = group.directory / str(number) / "data"
        data.mkdir(parents=True)
        (data / "myid").write_text(f"{number}\n")
        config = group.directory / str(number) / "zoo.cfg"
        config.write_text(
            f"tickTime={2000 if shipped else times['heartbeat']}\ninitLimit=10\n"
            f"syncLimit={5 if shipped else HEARTBEATS_PER_DETECTION}\ndataDir={data}\n"
            f"clientPort={port}\nclientPortAddress={HOST}\nmaxClientCnxns=0\n"
            f"admin.enableServer=false\n4lw.commands.whitelist=srvr\n{servers}")
        command = ["java", "-Xms256m", "-Xmx1g",
                   f"-Dzookeeper.forceSync={'yes' if group.options.durable else 'no'}",
                   "-cp", ":".join((*ZOOKEEPER_JARS, str(config.parent))),
                   "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(config)]
        _spawn(group, number, f"{HOST}:{port}", command)


def _leads_zookeeper(member: Member) -> bool:
    return b"Mode: leader" in _ask(member, b"srvr")


def _ask(member: Member, request: bytes) -> bytes:
    host, port = member.endpoint.split(":")
    with socket.create_connection((host, int(port)), timeout=1) as connection:
        connection.sendall(request)
        return connection.recv(4096)


_START = {"ours": _start_ours, "etcd": _start_etcd, "zookeeper": _start_zookeeper}
_LEADS = {"ours": _leads_ours, "etcd": _leads_etcd, "zookeeper": _leads_zookeeper}


def load_command(system: str, endpoints: Sequence[str], output: Path, **flags: Any) -> list[str]:
    """Flags are named as qlab-consensus-load's, with _ for -."""
    words = [str(program("experiments/qlab-consensus-load")), f"--system={_kind(system)}",
             f"--endpoints={','.join(endpoints)}", f"--output={output}"]
    for name, value in flags.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        words.append(f"--{name.replace('_', '-')}={text}")
    return words


def load(system: str, endpoints: Sequence[str], output: Path, *, duration: float, warmup: float,
         **flags: Any) -> dict[str, Any]:
    """Runs the load generator and returns its result. Errors: GroupError; Unavailable."""
    command = load_command(system, endpoints, output, duration=duration, warmup=warmup, **flags)
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          timeout=duration + warmup + 60)
    if done.returncode == 2 and "built without" in done.stderr:
        raise Unavailable(done.stderr.strip())
    if done.returncode != 0:
        raise GroupError(done.stderr.strip())
    return json.loads((output / "result.json").read_text())
