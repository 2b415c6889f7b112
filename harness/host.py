"""Where the processes of a cluster run: the seam between a cluster and its machines.

A `Host` starts and signals processes and moves files. There is one, the local machine; another kind
of machine is another subclass, and nothing above this file changes.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals


@dataclass
class Process:
    """A process of a host.

    `start_ticks` is the kernel's start time of the pid (clock ticks since boot): a pid that was
    given to someone else has another one. `child` is set while this Python process is the parent.
    """

    pid: int
    start_ticks: int
    child: subprocess.Popen[bytes] | None = field(default=None, repr=False)


class Host(ABC):
    """One machine that can carry nodes."""

    address: str
    """The address at which other nodes and clients reach processes of this host."""

    @abstractmethod
    def start(self, argv: Sequence[str], directory: Path, env: Mapping[str, str]) -> Process:
        """Starts `argv` in `directory`, in a process group of its own, appending to the files
        `stdout` and `stderr` there. `env` is added to this process's environment.

        Errors: FileNotFoundError or PermissionError when argv[0] cannot be run.
        """

    @abstractmethod
    def signal(self, process: Process, number: Signals) -> None:
        """Sends a signal to the process and all its children. A dead process is no error.

        A SIGSTOP has taken effect when this returns.
        """

    @abstractmethod
    def alive(self, process: Process) -> bool:
        """True until the process has ended, also while it is stopped by SIGSTOP."""

    @abstractmethod
    def exit_status(self, process: Process) -> int | None:
        """The exit status, negative for a signal's number; None while the process is alive, and
        when nobody here can know it because another process started it."""

    @abstractmethod
    def free_ports(self, count: int) -> list[int]:
        """Ports that nobody listens on now. Errors: OSError when the host has too few."""

    @abstractmethod
    def put(self, local: Path, remote: Path) -> None:
        """Copies a file or a directory from here to the host."""

    @abstractmethod
    def get(self, remote: Path, local: Path) -> None:
        """Copies a file or a directory from the host to here."""

    @abstractmethod
    def tail(self, remote: Path, *, offset: int = 0, bytes_max: int = 65536) -> str:
        """The last `bytes_max` bytes of what a file has from `offset` on; empty without a file."""


class LocalHost(Host):
    """This machine, over loopback."""

    address = "127.0.0.1"

    def start(self, argv: Sequence[str], directory: Path, env: Mapping[str, str]) -> Process:
        directory.mkdir(parents=True, exist_ok=True)
        with open(directory / "stdout", "ab") as out, open(directory / "stderr", "ab") as err:
            # Not a session of its own: with autogroups (sched(7)) Linux shares the processors among
            # sessions first, and a node would wait for another's whole share while its own few
            # threads have work, 100 ms and more on a machine that is full.
            child = subprocess.Popen(
                list(argv), cwd=directory, env={**os.environ, **env}, process_group=0,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        return Process(child.pid, _stat(child.pid)[1], child)

    def signal(self, process: Process, number: Signals) -> None:
        if not self.alive(process):
            return
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        while number == Signals.SIGSTOP and _stat(process.pid)[0] not in ("T", "Z", "X", ""):
            time.sleep(0.001)

    def alive(self, process: Process) -> bool:
        if process.child is not None:
            return process.child.poll() is None
        state, start_ticks = _stat(process.pid)
        return state not in ("", "Z", "X") and start_ticks == process.start_ticks

    def exit_status(self, process: Process) -> int | None:
        return None if process.child is None else process.child.poll()

    def free_ports(self, count: int) -> list[int]:
        # Below the ephemeral range: otherwise an outgoing connection could take the port of a node
        # that is down for a moment, and the node would not come back.
        low, high = 20_000, min(_ephemeral_port_min(), 32_768) - 1
        held: list[socket.socket] = []
        try:
            for port in random.sample(range(low, high), k=high - low):
                if len(held) == count:
                    return [s.getsockname()[1] for s in held]
                s = socket.socket()
                try:
                    s.bind((self.address, port))
                    held.append(s)
                except OSError:
                    s.close()
        finally:
            for s in held:
                s.close()
        raise OSError(f"fewer than {count} free ports between {low} and {high} on {self.address}")

    def put(self, local: Path, remote: Path) -> None:
        _copy(local, remote)

    def get(self, remote: Path, local: Path) -> None:
        _copy(remote, local)

    def tail(self, remote: Path, *, offset: int = 0, bytes_max: int = 65536) -> str:
        try:
            with open(remote, "rb") as f:
                end = f.seek(0, os.SEEK_END)
                f.seek(max(offset, end - bytes_max))
                return f.read(bytes_max).decode(errors="replace")
        except FileNotFoundError:
            return ""


def wait_dead(host: Host, process: Process, timeout: float) -> bool:
    """Waits up to `timeout` seconds for the process to end; True when it has."""
    deadline = time.monotonic() + timeout
    while host.alive(process):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.005)
    return True


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def _stat(pid: int) -> tuple[str, int]:
    """State letter and start time of a pid; ("", 0) when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "", 0
    fields = text[text.rindex(")") + 2:].split()  # The command in parentheses may hold anything.
    return fields[0], int(fields[19])


def _ephemeral_port_min() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        return 32_768
