"""How a number grows with another, and which of two factors makes it differ; with intervals.

All intervals are percentile bootstraps: samples are drawn anew within each cell, so that what was
measured in one cell never stands for another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.stats import CONFIDENCE, Estimate

RESAMPLES = 2_000
Samples = Sequence[float]


def ratio(one: Samples, other: Samples, *, seed: int) -> Estimate:
    """The ratio of their medians. Requires: both have values; those of `other` are above 0."""
    def of(cells: Sequence[np.ndarray]) -> float:
        return float(np.median(cells[0]) / np.median(cells[1]))
    return _estimate([one, other], of, seed)


def slope(by_x: Mapping[float, Samples], *, seed: int) -> Estimate:
    """Of the line of least squares through the medians at each x. Requires: two x or more."""
    places = np.array(sorted(by_x))

    def of(cells: Sequence[np.ndarray]) -> float:
        return float(np.polyfit(places, [np.median(c) for c in cells], 1)[0])
    return _estimate([by_x[x] for x in places.tolist()], of, seed)


@dataclass(frozen=True)
class TwoWay:
    """What two factors have to do with a number, on a logarithmic scale: effects multiply.

    Shares are those of the sum of squares between the cells and add up to 1: they say how much of
    the difference between the cells goes with a factor, not how large it is, which the spans say.
    """

    rows_span: Estimate
    """The geometric mean of the largest row over that of the smallest."""
    columns_span: Estimate
    rows_share: Estimate
    columns_share: Estimate
    interaction_share: Estimate


def two_way(cells: Mapping[tuple[str, str], Samples], *, seed: int) -> TwoWay | None:
    """Of a full table, by (row, column). None when a cell has no value, or one that is not above
    0."""
    rows = list(dict.fromkeys(row for row, _ in cells))
    columns = list(dict.fromkeys(column for _, column in cells))
    table = [cells.get((row, column), ()) for row in rows for column in columns]
    if len(rows) < 2 or len(columns) < 2 or any(len(c) == 0 or min(c) <= 0 for c in table):
        return None

    def part(number: int) -> Estimate:
        return _estimate(table, lambda c: _parts(_log_medians(c, len(rows)))[number], seed)
    return TwoWay(*(part(number) for number in range(5)))


def _log_medians(cells: Sequence[np.ndarray], rows: int) -> np.ndarray:
    return np.log([np.median(c) for c in cells]).reshape(rows, -1)


def _parts(table: np.ndarray) -> tuple[float, float, float, float, float]:
    by_row = table.mean(axis=1) - table.mean()
    by_column = table.mean(axis=0) - table.mean()
    left = table - table.mean() - by_row[:, None] - by_column[None, :]
    squares = np.array([table.shape[1] * (by_row ** 2).sum(),
                        table.shape[0] * (by_column ** 2).sum(), (left ** 2).sum()])
    shares = squares / squares.sum() if squares.sum() > 0 else np.full(3, 0.0)
    return (float(np.exp(np.ptp(by_row))), float(np.exp(np.ptp(by_column))),
            *(float(s) for s in shares))


def _estimate(cells: Sequence[Samples], of: Callable[[Sequence[np.ndarray]], float],
              seed: int) -> Estimate:
    arrays = [np.asarray(c, float) for c in cells]
    if any(a.size == 0 for a in arrays):
        raise ValueError("every cell needs at least one value")
    count = min(a.size for a in arrays)
    if count < 2:
        return Estimate(count, of(arrays), None, None)
    random = np.random.default_rng(seed)
    drawn = [of([random.choice(a, a.size) for a in arrays]) for _ in range(RESAMPLES)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(count, of(arrays), float(low), float(high))
