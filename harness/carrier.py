"""A process that carries several nodes, and those nodes: virtual brokers.

They have directories, ports and traces of their own and share nothing but the process, so clients
and other nodes cannot tell them from processes. One of them can be started, stopped and killed
through the process (`qlab-node --control`); only the process as a whole can be frozen.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from harness import control
from harness.host import Host, Process, wait_dead
from harness.node import READY_TIMEOUT, STOP_TIMEOUT, ClusterError, Node

KILLED = 4  # The status of a node that a call has killed.
TAIL_BYTES = 1 << 20  # Of stdout; three lines for each life of a node.


class Carrier:
    """The process, and the directory of its output."""

    def __init__(self, host: Host, directory: Path, binary: Path, address: str,
                 process: Process | None = None) -> None:
        self.host = host
        self.directory = directory
        self.binary = binary
        self.address = address  # Of its --control.
        self.process = process
        self.nodes: list[VirtualNode] = []
        self._read = 0  # Bytes of stdout of which _words are the last.
        self._words: dict[int, tuple[str, int]] = {}

    @property
    def alive(self) -> bool:
        return self.process is not None and self.host.alive(self.process)

    def start(self, nodes: Sequence[VirtualNode]) -> None:
        """Starts these of its nodes, and the process if there is none; does not wait until they
        are ready. Errors: ClusterError."""
        files = [n.write_properties() for n in nodes]
        if self.alive:
            for node, file in zip(nodes, files, strict=True):
                try:
                    control.start_node(self.address, file)
                except control.ControlError as error:
                    raise ClusterError(f"node {node.id} does not start: {error}") from error
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "stdout").write_bytes(b"")  # What it says is of this process alone.
        self._read, self._words = 0, {}
        (self.directory / "stderr").write_bytes(b"")
        words = [word for file in files for word in ("--config", str(file))]
        self.process = self.host.start([str(self.binary), *words, "--control", self.address],
                                       self.directory, {})
        deadline = time.monotonic() + READY_TIMEOUT
        while any(self.last_word(n.id) is None for n in nodes):
            if not self.alive or time.monotonic() >= deadline:
                raise ClusterError(f"the process of nodes {', '.join(str(n.id) for n in nodes)} "
                                   f"does not start; the end of {self.directory / 'stderr'}:\n"
                                   f"{self.host.tail(self.directory / 'stderr')[-2000:]}")
            time.sleep(0.005)

    def last_word(self, id_: int) -> tuple[str, int] | None:
        """What the process said last of a node: starting, ready or ended, with its status."""
        size = (self.directory / "stdout").stat().st_size
        if size != self._read:  # A hundred nodes are asked after again and again.
            said = self.host.tail(self.directory / "stdout", bytes_max=TAIL_BYTES)
            found = re.findall(r"^(starting|ready|ended) node\.id=(\d+)(?: status=(\d+)| .*|)$",
                               said, re.MULTILINE)
            self._words = {int(node): (word, int(status or 0)) for word, node, status in found}
            self._read = size
        return self._words.get(id_)

    def send_signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.host.signal(self.process, number)

    def resume(self) -> None:
        """SIGCONT. A process that is not stopped is no error."""
        self.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL for the process, and so for all its nodes."""
        self.send_signal(signal.SIGKILL)
        if self.process is not None and not wait_dead(self.host, self.process, 10):
            raise ClusterError(f"process {self.process.pid} outlived SIGKILL by 10 s")


class VirtualNode(Node):
    """One of a carrier's nodes. `process` is the carrier's."""

    def __init__(self, carrier: Carrier, id_: int, directory: Path,
                 config: dict[str, str]) -> None:
        self.carrier = carrier
        super().__init__(carrier.host, id_, directory, carrier.binary, config)
        carrier.nodes.append(self)

    @property
    def process(self) -> Process | None:
        return self.carrier.process

    @process.setter
    def process(self, process: Process | None) -> None:
        """The carrier's process is nobody else's to change."""

    @property
    def output(self) -> Path:
        return self.carrier.directory

    @property
    def alive(self) -> bool:
        word = self.carrier.last_word(self.id) if self.carrier.alive else None
        return word is not None and word[0] != "ended"

    @property
    def ready(self) -> bool:
        word = self.carrier.last_word(self.id) if self.carrier.alive else None
        return word is not None and word[0] == "ready"

    @property
    def exit_status(self) -> int | None:
        """As of a process, also for a node that ended alone."""
        if not self.carrier.alive:
            return super().exit_status
        word = self.carrier.last_word(self.id)
        if word is None or word[0] != "ended":
            return None
        return -signal.SIGKILL if word[1] == KILLED else word[1]

    def start(self, *, wait: bool = True, timeout: float = READY_TIMEOUT) -> None:
        """Starts the node, and the process if there is none. Errors: as of Node.start."""
        if self.alive:
            raise ClusterError(f"node {self.id} is alive already")
        self.carrier.start([self])
        if wait:
            self.wait_ready(timeout)

    def kill(self) -> None:
        """Ends this node alone as SIGKILL would: its sockets close and nobody is told."""
        if not self.alive:
            return
        try:
            control.kill_node(self.carrier.address, self.id)
        except control.ControlError as error:
            if self.alive:
                raise ClusterError(f"node {self.id} cannot be killed: {error}") from error

    def stop(self, timeout: float = STOP_TIMEOUT) -> int | None:
        """A controlled shutdown of this node alone; returns its exit status. Errors: as of
        Node.stop."""
        if self.alive:
            try:
                control.stop_node(self.carrier.address, self.id, timeout)
            except control.ControlError as error:
                if self.alive:
                    raise ClusterError(f"node {self.id} did not stop: {error}") from error
        return self.exit_status

    def pause(self) -> None:
        """Errors: ClusterError, always: there is no freezing a part of a process."""
        others = ", ".join(str(n.id) for n in self.carrier.nodes if n is not self)
        raise ClusterError(f"node {self.id} cannot be frozen alone: it shares its process with "
                           f"nodes {others}")

    def resume(self) -> None:
        """No effect: it is never paused."""

    def send_signal(self, number: signal.Signals) -> None:
        """Errors: ClusterError, always: a signal is for the process; see `carrier`."""
        raise ClusterError(f"node {self.id} shares its process, which alone takes signals")

    def stderr_tail(self, lines: int = 20) -> str:
        """The last lines about this node that the process wrote to stderr, or of all of them."""
        text = self.host.tail(self.carrier.directory / "stderr", bytes_max=TAIL_BYTES).splitlines()
        own = [line for line in text if f" [{self.id}] " in line or f" node {self.id}: " in line]
        return "\n".join((own or text)[-lines:]) or "(nothing)"
