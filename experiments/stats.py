"""Medians with confidence intervals, in numpy.

A trial is the unit of repetition: quantiles are taken within a trial, and intervals over trials.
Pooling samples of all trials would pretend that thousands of records are independent repetitions.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A median over `n` trials. The interval is None with fewer than two trials: one says nothing
    of spread."""

    n: int
    median: float
    ci_low: float | None
    ci_high: float | None


def median_ci(values: Sequence[float], *, seed: int, confidence: float = CONFIDENCE) -> Estimate:
    """The median and its percentile-bootstrap interval; the same seed gives the same interval.

    Requires: at least one value. With few trials the interval cannot leave [min, max]; with five
    its true coverage is at most 94 %.
    """
    data = np.asarray(values, float)
    if data.size == 0:
        raise ValueError("a median needs at least one value")
    median = float(np.median(data))
    if data.size < 2:
        return Estimate(1, median, None, None)
    random = np.random.default_rng(seed)
    medians = np.median(random.choice(data, (RESAMPLES, data.size)), axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(medians, [tail, 1 - tail])
    return Estimate(data.size, median, float(low), float(high))


def quantile(samples: np.ndarray, q: float) -> float:
    """The nearest-rank quantile: the least sample that has a share of at least `q` at or below it.

    Requires: at least one sample; 0 < q <= 1.
    """
    ordered = np.sort(samples)
    return float(ordered[max(0, math.ceil(q * ordered.size * (1 - 1e-12)) - 1)])


def seed_of(*words: object) -> int:
    """A seed that follows from words, the same in every process (unlike hash())."""
    return zlib.crc32("/".join(map(str, words)).encode())


def disjoint(one: Estimate, other: Estimate) -> bool:
    """True when the intervals do not meet: the difference is larger than the spread of the
    trials."""
    if None in (one.ci_low, one.ci_high, other.ci_low, other.ci_high):
        return False
    return one.ci_high < other.ci_low or other.ci_high < one.ci_low  # type: ignore[operator]
