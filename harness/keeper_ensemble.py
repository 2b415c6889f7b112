"""An ensemble of qlab-keeper servers on this machine, and a client that can be killed.

    with Ensemble(directory, servers=3) as ensemble:
        zk = ensemble.client()
        zk.create("/a", b"data")
        ensemble.kill(ensemble.leader())
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from signal import Signals
from types import TracebackType

from kazoo.client import KazooClient
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.retry import KazooRetry

from harness.host import LocalHost, Process, wait_dead
from harness.waiting import wait_for

REPOSITORY = Path(__file__).resolve().parent.parent
READY_SECONDS = 30
STOP_SECONDS = 10


def binary() -> Path:
    build = Path(os.environ.get("QLAB_BUILD_DIR", REPOSITORY / "build"))
    return build / "keeper" / "node" / "qlab-keeper"


class Ensemble:
    """Servers 1 to `servers`, which vote, and behind them `observers` that do not.

    `flags` go to every server. A tick is 200 ms unless they say another, so a session lasts from
    400 ms to 4 s.
    """

    def __init__(self, directory: Path, servers: int = 3, observers: int = 0,
                 module: str = "zab", flags: tuple[str, ...] = ()) -> None:
        self._directory = directory
        self._module = module
        self._flags = flags
        self._host = LocalHost()
        self.ids = list(range(1, servers + observers + 1))
        self._observers = self.ids[servers:]
        ports = self._host.free_ports(2 * len(self.ids))
        self._peer = dict(zip(self.ids, ports, strict=False))
        self.port = dict(zip(self.ids, ports[len(self.ids):], strict=False))
        self._processes: dict[int, Process] = {}
        self._clients: list[KazooClient] = []

    def __enter__(self) -> Ensemble:
        for server in self.ids:
            self.start(server)
        self.wait_serving()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if error is None:  # They say goodbye, which needs servers.
            for client in self._clients:
                client.stop()
                client.close()
        for server in list(self._processes):
            self.kill(server)

    def start(self, server: int) -> None:
        voters = ",".join(f"{i}@127.0.0.1:{port}" for i, port in self._peer.items())
        argv = [str(binary()), f"--id={server}", f"--voters={voters}", "--dir=data",
                f"--client=127.0.0.1:{self.port[server]}", "--engine=buffered",
                f"--module={self._module}", "--tick-ms=200", *self._flags]
        if self._observers:
            argv.append("--observers=" + ",".join(map(str, self._observers)))
        directory = self._directory / f"server-{server}"
        self._processes[server] = self._host.start(argv, directory, {})

    def kill(self, server: int) -> None:
        """SIGKILL, and returns when it is dead."""
        process = self._processes.pop(server)
        self._host.signal(process, Signals.SIGKILL)
        wait_dead(self._host, process, STOP_SECONDS)

    def stop(self, server: int) -> int | None:
        """SIGTERM; returns its exit status."""
        process = self._processes.pop(server)
        self._host.signal(process, Signals.SIGTERM)
        wait_dead(self._host, process, STOP_SECONDS)
        return self._host.exit_status(process)

    def alive(self, server: int) -> bool:
        return server in self._processes and self._host.alive(self._processes[server])

    def errors(self, server: int) -> str:
        """What it said."""
        return self._host.tail(self._directory / f"server-{server}" / "stderr")

    def word(self, server: int, word: str) -> str:
        """A four-letter word's answer."""
        with socket.create_connection(("127.0.0.1", self.port[server]), timeout=5) as s:
            s.sendall(word.encode())
            answer = b""
            while piece := s.recv(65536):
                answer += piece
        return answer.decode()

    def monitor(self, server: int) -> dict[str, str]:
        lines = self.word(server, "mntr").splitlines()
        return dict(line.removeprefix("zk_").split("\t", 1) for line in lines if "\t" in line)

    def mode(self, server: int) -> str:
        """leader, follower, observer or standalone; empty while nobody leads."""
        return self.monitor(server).get("server_state", "")

    def wait_serving(self) -> None:
        running = list(self._processes)
        wait_for(lambda: all(self.mode(server) for server in running), READY_SECONDS,
                 "all servers to know a leader")

    def leader(self) -> int:
        def find() -> int | None:
            led = [s for s in self._processes if self.mode(s) in ("leader", "standalone")]
            return led[0] if len(led) == 1 else None
        return wait_for(find, READY_SECONDS, "one leader")

    def hosts(self, *servers: int) -> str:
        return ",".join(f"127.0.0.1:{self.port[s]}" for s in servers or self.ids)

    def client(self, *servers: int, timeout: float = 4.0, start: bool = True) -> KazooClient:
        """A client of these servers, or of all, which is stopped with the ensemble."""
        retry = KazooRetry(max_tries=-1, delay=0.05, max_delay=0.2, deadline=30)
        client = KazooClient(hosts=self.hosts(*servers), timeout=timeout,
                             handler=SequentialThreadingHandler(),
                             connection_retry=retry, command_retry=retry)
        self._clients.append(client)
        if start:
            client.start(timeout=READY_SECONDS)
        return client

    def connect(self, server: int) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port[server]), timeout=5)


def handshake(s: socket.socket, session: int = 0, password: bytes = bytes(16),
              timeout_ms: int = 2000) -> tuple[int, int, bytes]:
    """Sends ZooKeeper's; returns timeout, session and password of the answer."""
    body = struct.pack("!iqiqi", 0, 0, timeout_ms, session, len(password)) + password + b"\0"
    s.sendall(struct.pack("!i", len(body)) + body)
    answer = receive_frame(s)
    _, timeout, given, count = struct.unpack_from("!iiqi", answer)
    return timeout, given, answer[20:20 + count]


def send_request(s: socket.socket, xid: int, kind: int, body: bytes = b"") -> None:
    s.sendall(struct.pack("!iii", 8 + len(body), xid, kind) + body)


def receive_frame(s: socket.socket) -> bytes:
    """Errors: ConnectionError, when the server ended the connection."""
    count = struct.unpack("!i", _receive(s, 4))[0]
    return _receive(s, count)


def receive_reply(s: socket.socket) -> tuple[int, int, bytes]:
    """xid, error code and body."""
    frame = receive_frame(s)
    xid, _, error = struct.unpack_from("!iqi", frame)
    return xid, error, frame[16:]


def _receive(s: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = s.recv(count - len(data))
        if not piece:
            raise ConnectionError("the server ended the connection")
        data += piece
    return data
