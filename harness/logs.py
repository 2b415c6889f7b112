"""The batches in a partition's files, to compare replicas byte for byte.

Reads Kafka's record batch v2 headers only; what follows the last batch (space that an engine has
reserved, batches that an earlier life of the file left behind) is not part of the log.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

_HEADER = struct.Struct(">qiibIhi")  # To last_offset_delta.
_LENGTH_OFFSET = 12  # The length field counts what comes after itself.


class Batch(NamedTuple):
    """A batch's place and content: offsets [base_offset, last_offset], `crc` covers the records."""

    base_offset: int
    last_offset: int
    leader_epoch: int
    crc: int


class LogError(Exception):
    """A partition's files contradict themselves; names the file and the position."""


def batches(partition_directory: Path) -> list[Batch]:
    """All batches of a partition in the order of their offsets. Errors: LogError."""
    found: list[Batch] = []
    for segment in sorted(partition_directory.glob("*.log")):
        data = segment.read_bytes()
        expected = int(segment.stem)
        if found and expected != found[-1].last_offset + 1:
            raise LogError(f"{segment}: begins at {expected}, but the segment before ends at "
                           f"{found[-1].last_offset}")
        position = 0
        while position + _HEADER.size <= len(data):
            base, length, epoch, magic, crc, _, delta = _HEADER.unpack_from(data, position)
            if length <= 0 or base != expected:
                break
            if magic != 2 or position + _LENGTH_OFFSET + length > len(data):
                raise LogError(f"{segment}: no whole batch v2 at byte {position}")
            found.append(Batch(base, base + delta, epoch, crc))
            expected = base + delta + 1
            position += _LENGTH_OFFSET + length
    return found
