"""What processes use: time of processors, and what they send over TCP, as the kernel counts it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.cluster import LocalCluster

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of the processes so far. Errors: OSError when one is gone."""
    return sum(parse_stat(Path(f"/proc/{pid}/stat").read_text()) for pid in pids) / TICKS_PER_S


def parse_stat(text: str) -> int:
    """utime + stime of /proc/PID/stat, in ticks. The name before them may have anything in it."""
    fields = text.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@dataclass(frozen=True)
class Sent:
    segments: int = 0
    """With data in them: about as many as messages, while there is little to say."""
    bytes: int = 0


def sockets(text: str, ports: Iterable[int]) -> dict[tuple[str, str], Sent]:
    """What each end of a connection to one of the ports has sent, by its addresses: of the output
    of `ss -tinH`."""
    wanted = set(ports)
    found: dict[tuple[str, str], Sent] = {}
    ends: tuple[str, str] | None = None
    for line in text.splitlines():
        words = line.split()
        if line[:1].strip():
            ends = (words[-2], words[-1]) if len(words) >= 4 else None
            continue
        if ends is None or not wanted & {int(e.rpartition(":")[2]) for e in ends}:
            continue
        counts = {key: int(value) for key, value in
                  re.findall(r"\b(data_segs_out|bytes_sent):(\d+)", line)}
        found[ends] = Sent(counts.get("data_segs_out", 0), counts.get("bytes_sent", 0))
    return found


def sent_between(before: Mapping[tuple[str, str], Sent],
                 after: Mapping[tuple[str, str], Sent]) -> Sent:
    """Of the connections that are in both, or new."""
    changes = [(now, before.get(ends, Sent())) for ends, now in after.items()]
    return Sent(sum(now.segments - then.segments for now, then in changes),
                sum(now.bytes - then.bytes for now, then in changes))


def look(cluster: LocalCluster) -> dict[tuple[str, str], Sent] | None:
    """What was sent over the connections that nodes accepted. None where `ss` is not installed."""
    if shutil.which("ss") is None:
        return None
    ports = [int(node.config[key].rpartition(":")[2]) for node in cluster.nodes.values()
             for key in ("listener", "peer.listener")]
    done = subprocess.run(["ss", "-tinH", "state", "established"], capture_output=True, text=True,
                          check=True)
    return sockets(done.stdout, ports)
