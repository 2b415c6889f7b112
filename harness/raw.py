"""Kafka frames by hand, for what no client would send.

Only what the bad-input tests need: framing, request headers, and one honest request to see whether
a node still answers.
"""

from __future__ import annotations

import socket
import struct
from types import TracebackType

PRODUCE, METADATA, API_VERSIONS, DELETE_RECORDS = 0, 3, 18, 21
UNSUPPORTED_VERSION = 35


def string(text: str | None) -> bytes:
    """STRING or NULLABLE_STRING of the versions without compact types."""
    if text is None:
        return struct.pack(">h", -1)
    return struct.pack(">h", len(text.encode())) + text.encode()


def frame(payload: bytes) -> bytes:
    """The payload behind its length (4 bytes, big-endian)."""
    return struct.pack(">i", len(payload)) + payload


def request(api_key: int, api_version: int, body: bytes = b"", *, correlation_id: int = 1,
            client_id: str | None = "raw") -> bytes:
    """A whole frame with request header v1."""
    header = struct.pack(">hhi", api_key, api_version, correlation_id)
    return frame(header + string(client_id) + body)


class Connection:
    """One TCP connection to a node's Kafka port. `timeout` in seconds, for every single call."""

    def __init__(self, endpoint: str, timeout: float = 10.0) -> None:
        host, _, port = endpoint.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Sends the bytes as they are. A peer that has closed is no error; `receive` will tell."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self) -> bytes | None:
        """The next frame's payload, or None when the peer closed the connection.

        Errors: TimeoutError when neither comes.
        """
        length = self._exactly(4)
        if length is None:
            return None
        return self._exactly(struct.unpack(">i", length)[0])

    def _exactly(self, count: int) -> bytes | None:
        data = b""
        while len(data) < count:
            try:
                piece = self.socket.recv(count - len(data))
            except ConnectionResetError:
                return None
            if not piece:
                return None
            data += piece
        return data


def api_versions(endpoint: str) -> dict[int, tuple[int, int]]:
    """Api key -> lowest and highest version, as a node advertises them to ApiVersions v0.

    Errors: ConnectionError when it closes the connection, AssertionError when it answers with an
    error.
    """
    with Connection(endpoint) as connection:
        connection.send(request(API_VERSIONS, 0))
        payload = connection.receive()
    if payload is None:
        raise ConnectionError(f"{endpoint} closed the connection instead of answering ApiVersions")
    error, versions = parse_api_versions(payload)
    assert error == 0, f"ApiVersions v0 failed with error {error}"
    return versions


def parse_api_versions(payload: bytes) -> tuple[int, dict[int, tuple[int, int]]]:
    """Error code and ranges of an ApiVersions response v0, its header included."""
    _, error, count = struct.unpack_from(">ihi", payload)
    rows = [struct.unpack_from(">hhh", payload, 10 + 6 * i) for i in range(count)]
    return error, {key: (low, high) for key, low, high in rows}


def delete_records(endpoint: str, topic: str, partition: int, offset: int,
                   timeout: float = 10.0) -> tuple[int, int]:
    """Asks the node to delete what lies below `offset`: (low watermark, error code).

    By hand, because no client that Debian 12 packages has a call for it.
    """
    body = (struct.pack(">i", 1) + string(topic) + struct.pack(">iiq", 1, partition, offset)
            + struct.pack(">i", int(timeout * 1000)))
    with Connection(endpoint, timeout + 5) as connection:
        connection.send(request(DELETE_RECORDS, 1, body))
        answer = connection.receive()
    assert answer is not None, f"{endpoint} closed the connection"
    name_length = struct.unpack_from(">h", answer, 12)[0]
    _, _, low, error = struct.unpack_from(">iiqh", answer, 14 + name_length)
    return low, error
