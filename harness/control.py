"""The control service of a node, as dataclasses.

The message classes are generated from wire/proto/control.proto at first use, with the machine's own
protoc, into .qlab/proto/; a change of the file makes new ones.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
PROTO = REPOSITORY / "wire" / "proto" / "control.proto"


@dataclass(frozen=True)
class Traffic:
    """What a node's replica of the consensus group did since its process began."""

    messages_sent: int = 0
    bytes_sent: int = 0
    messages_received: int = 0
    bytes_received: int = 0
    syncs: int = 0


@dataclass(frozen=True)
class ConsensusStatus:
    """The node's part in the controller quorum. `leader` is -1 when it knows none."""

    role: str
    epoch: int
    leader: int
    commit: int
    last: int
    traffic: Traffic = Traffic()


@dataclass(frozen=True)
class BrokerStatus:
    """A broker as the asked node's metadata image has it."""

    id: int
    endpoint: str
    fenced: bool
    epoch: int


@dataclass(frozen=True)
class PartitionStatus:
    """A partition that the asked node holds. log_start <= high_watermark <= log_end, and
    durable_end <= log_end; all but the first are one past the last record. `leader` is -1 when
    there is none."""

    topic: str
    partition: int
    leader: int
    leader_epoch: int
    partition_epoch: int
    isr: tuple[int, ...]
    replicas: tuple[int, ...]
    log_start: int
    log_end: int
    durable_end: int
    high_watermark: int


@dataclass(frozen=True)
class NodeStatus:
    """One node's answer. `consensus` is None on a node that is no voter."""

    node_id: int
    cluster_id: str
    ready: bool
    consensus: ConsensusStatus | None
    controller_active: bool
    metadata_offset: int
    brokers: tuple[BrokerStatus, ...]
    partitions: tuple[PartitionStatus, ...]
    """Empty when they were not asked for."""
    replica_count: int = 0
    """Replicas that are open on the node."""
    controller_epoch: int = 0
    """While the node is the active controller: the epoch of that."""

    def partition(self, topic: str, partition: int) -> PartitionStatus | None:
        """This node's copy of the partition, or None when it holds none."""
        for p in self.partitions:
            if p.topic == topic and p.partition == partition:
                return p
        return None


class ControlError(Exception):
    """A node did not answer the control service."""


def status(address: str, timeout: float = 2.0, *, partitions: bool = True) -> NodeStatus:
    """Asks the node whose peer.listener is `address` (host:port); waits up to `timeout` seconds.
    Without `partitions` it does not list what it holds, which may be a million of them.

    Errors: ControlError when the node does not answer in time or answers with an error.
    """
    request = _messages().StatusRequest(partitions=partitions)
    return _to_status(_call(address, "Status", request, "StatusReply", timeout))


def start_node(address: str, config_file: Path, timeout: float = 30.0) -> None:
    """Has the process whose --control is `address` start one more node. Errors: ControlError."""
    request = _messages().StartNodeRequest(config_file=str(config_file))
    _call(address, "StartNode", request, "NodeReply", timeout)


def stop_node(address: str, node: int, timeout: float = 30.0) -> None:
    """Has the process end one of its nodes in order; returns when it has ended. Errors:
    ControlError."""
    _call(address, "StopNode", _messages().EndNodeRequest(node_id=node), "NodeReply", timeout)


def kill_node(address: str, node: int, timeout: float = 30.0) -> None:
    """The same as SIGKILL would end it: its sockets close and nobody is told."""
    _call(address, "KillNode", _messages().EndNodeRequest(node_id=node), "NodeReply", timeout)


def _call(address: str, method: str, request: Any, reply: str, timeout: float) -> Any:
    import grpc  # Half a second: only who asks pays.

    options = [("grpc.use_local_subchannel_pool", 1),  # No back-off left from a failed call.
               ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(address, options=options) as channel:
        call = channel.unary_unary(
            f"/qlab.control.Control/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=getattr(_messages(), reply).FromString)
        try:
            return call(request, timeout=timeout)
        except grpc.RpcError as error:
            raise ControlError(f"{address}: {error.code().name}: {error.details()}") from error


def _to_status(reply: Any) -> NodeStatus:
    consensus = None
    if reply.HasField("consensus"):
        c = reply.consensus
        t = c.traffic
        consensus = ConsensusStatus(
            c.role, c.epoch, c.leader, c.commit, c.last,
            Traffic(t.messages_sent, t.bytes_sent, t.messages_received, t.bytes_received, t.syncs))
    return NodeStatus(
        reply.node_id, reply.cluster_id, reply.ready, consensus, reply.controller_active,
        reply.metadata_offset,
        tuple(BrokerStatus(b.id, b.endpoint, b.fenced, b.epoch) for b in reply.brokers),
        tuple(PartitionStatus(p.topic, p.partition, p.leader, p.leader_epoch, p.partition_epoch,
                              tuple(p.isr), tuple(p.replicas), p.log_start, p.log_end,
                              p.durable_end, p.high_watermark)
              for p in reply.partitions),
        reply.replica_count, reply.controller_epoch)


@cache
def _messages() -> Any:
    if not PROTO.is_file():
        raise ControlError(f"{PROTO} does not exist; this is not a complete checkout")
    digest = hashlib.sha256(PROTO.read_bytes()).hexdigest()[:16]
    target = REPOSITORY / ".qlab" / "proto" / digest
    if not (target / "control_pb2.py").is_file():
        _generate(target)
    sys.path.insert(0, str(target))
    try:
        return importlib.import_module("control_pb2")
    finally:
        sys.path.remove(str(target))


def _generate(target: Path) -> None:
    if shutil.which("protoc") is None:
        raise ControlError("protoc is missing; apt-get install protobuf-compiler")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        done = subprocess.run(
            ["protoc", "-I", str(PROTO.parent), "--python_out", scratch, PROTO.name],
            cwd=PROTO.parent, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ControlError(f"protoc failed on {PROTO}: {done.stderr.strip()}")
        try:
            os.rename(Path(scratch), target)
            Path(scratch).mkdir()  # For TemporaryDirectory to remove.
        except OSError:
            if not target.is_dir():  # Else another process was first; its files are the same.
                raise
