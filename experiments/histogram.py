"""Reads the histograms that qlab-load writes, and any other in HdrHistogram's compressed V2
encoding.

Source: HdrHistogram by Gil Tene; the C++ writer is common/hdr_histogram.h.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_COOKIE = 0x1C849303 | 0x10
_COOKIE_COMPRESSED = 0x1C849304 | 0x10
_HEADER = struct.Struct(">iiiiqqd")


class HistogramError(ValueError):
    """The bytes are no histogram; the message says what is wrong with them."""


@dataclass
class Histogram:
    """Counts of integer values in buckets whose width is a bounded share of the value."""

    value_min: int
    value_max: int
    significant_digits: int
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """By index; trailing zeros may be missing."""

    @property
    def count(self) -> int:
        return int(self.counts.sum())

    def upper_ends(self) -> np.ndarray:
        """The highest value of each bucket, by index."""
        resolution = 2 * 10 ** self.significant_digits
        half = 1 << (math.ceil(math.log2(resolution)) - 1)
        unit = self.value_min.bit_length() - 1
        index = np.arange(len(self.counts), dtype=np.int64)
        ring = index // half
        shift = np.maximum(ring - 1, 0) + unit
        sub = np.where(ring == 0, index, index % half + half)
        return ((sub + 1) << shift) - 1

    def value_at(self, quantile: float) -> int:
        """The highest value equivalent to the least one that has a share of `quantile` at or below
        it.

        Requires: 0 <= quantile <= 1. 0 when empty.
        """
        if self.count == 0:
            return 0
        wanted = max(1, math.ceil(quantile * self.count * (1 - 1e-12)))
        at = int(np.searchsorted(np.cumsum(self.counts), wanted))
        return int(self.upper_ends()[at])

    def merged(self, other: Histogram) -> Histogram:
        """What both counted. Errors: HistogramError when their ranges or digits differ."""
        mine = (self.value_min, self.value_max, self.significant_digits)
        if mine != (other.value_min, other.value_max, other.significant_digits):
            raise HistogramError("histograms of different ranges cannot be merged")
        counts = np.zeros(max(len(self.counts), len(other.counts)), np.int64)
        counts[:len(self.counts)] += self.counts
        counts[:len(other.counts)] += other.counts
        return Histogram(*mine, counts)


def decode(text: str) -> Histogram:
    """Decodes base64 of the compressed V2 encoding. Errors: HistogramError."""
    try:
        packed = base64.b64decode(text, validate=True)
        cookie, length = struct.unpack_from(">ii", packed)
        if cookie != _COOKIE_COMPRESSED:
            raise HistogramError(f"cookie is {cookie:#x}, not that of a compressed V2 histogram")
        plain = zlib.decompress(packed[8:8 + length])
        cookie, length, _, digits, low, high, _ = _HEADER.unpack_from(plain)
    except (struct.error, zlib.error, ValueError) as error:
        if isinstance(error, HistogramError):
            raise
        raise HistogramError(f"not a compressed V2 histogram ({error})") from error
    if cookie != _COOKIE:
        raise HistogramError(f"inner cookie is {cookie:#x}, not that of a V2 histogram")
    body = plain[_HEADER.size:]
    if length != len(body):
        raise HistogramError(f"the payload has {len(body)} bytes, not {length}")
    return Histogram(low, high, digits, _counts(body))


def load_log(path: Path) -> dict[str, Histogram]:
    """The histograms of a .hlog file by tag; several intervals of a tag become one.

    Errors: FileNotFoundError; HistogramError that names the line.
    """
    found: dict[str, Histogram] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith(("#", '"')):
            continue
        words = line.split(",")
        tag = words.pop(0).removeprefix("Tag=") if line.startswith("Tag=") else ""
        try:
            histogram = decode(words[3])
            found[tag] = found[tag].merged(histogram) if tag in found else histogram
        except (IndexError, HistogramError) as error:
            raise HistogramError(f"{path}:{number}: {error}") from error
    return found


def _counts(body: bytes) -> np.ndarray:
    """ZigZag LEB128 words; a negative one is a run of zeros."""
    counts: list[int] = []
    at = 0
    while at < len(body):
        value = shift = 0
        while True:
            if at >= len(body):
                raise HistogramError("the payload ends inside a count")
            byte = body[at]
            at += 1
            if shift == 56:  # The ninth byte has eight bits of its own.
                value |= byte << shift
                break
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        number = (value >> 1) ^ -(value & 1)
        if number < 0:
            counts.extend([0] * -number)
        else:
            counts.append(number)
    return np.array(counts, np.int64)
