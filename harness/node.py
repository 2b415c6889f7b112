"""One node of a cluster, in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from harness import control
from harness.host import Host, Process, wait_dead

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
    def output(self) -> Path:
        """The directory of `stdout` and `stderr`."""
        return self.directory

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
        properties = self.write_properties()
        self._stdout_offset = _size(self.directory / "stdout")
        self._stderr_offset = _size(self.directory / "stderr")
        self.paused = False
        self.process = self.host.start(
            [str(self.binary), "--config", str(properties)], self.directory, self.env)
        if wait:
            self.wait_ready(timeout)

    def write_properties(self) -> Path:
        """Makes node.properties of `config`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / "node.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in self.config.items()))
        return path

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


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
