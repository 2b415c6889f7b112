"""Ratios, slopes and two-way tables, on numbers whose answers are known."""

import pytest

from experiments import scaling


def test_a_ratio_has_an_interval_that_holds_it():
    found = scaling.ratio([10, 11, 9, 10], [5, 5, 4, 6], seed=1)
    assert found.median == pytest.approx(2)
    assert found.ci_low < 2 < found.ci_high
    assert scaling.ratio([3], [2], seed=1).ci_low is None


def test_a_slope_goes_through_the_medians():
    found = scaling.slope({0: [1, 1, 9], 10: [3, 3, 3], 20: [5, 0, 5]}, seed=1)
    assert found.median == pytest.approx(0.2)


def table(row, column, both):
    """Values that follow the given effects, with a little spread."""
    return {(f"r{i}", f"c{j}"): [5 * row ** i * column ** j * both ** (i * j) * s
                                 for s in (0.99, 1, 1.01)]
            for i in range(2) for j in range(3)}


def test_a_factor_that_does_all_has_the_whole_share():
    found = scaling.two_way(table(8, 1, 1), seed=1)
    assert found.rows_span.median == pytest.approx(8)
    assert found.columns_span.median == pytest.approx(1)
    assert found.rows_share.median > 0.999
    assert found.rows_share.ci_low > 0.99


def test_two_factors_that_do_the_same_share_what_there_is():
    # Two rows at distance d weigh 3 d^2 / 2; three columns at distance e weigh 4 e^2.
    found = scaling.two_way(table(2 ** (8 / 3) ** 0.5, 2, 1), seed=1)
    assert found.rows_share.median == pytest.approx(0.5)
    assert found.columns_share.median == pytest.approx(0.5)
    assert found.interaction_share.median == pytest.approx(0, abs=1e-9)


def test_what_neither_factor_explains_is_interaction():
    found = scaling.two_way({("a", "x"): [1.0], ("a", "y"): [2.0], ("b", "x"): [2.0],
                             ("b", "y"): [1.0]}, seed=1)
    assert found.interaction_share.median == pytest.approx(1)
    assert found.interaction_share.ci_low is None


def test_a_table_with_a_hole_has_no_answer():
    cells = table(2, 2, 1)
    del cells["r1", "c2"]
    assert scaling.two_way(cells, seed=1) is None
    assert scaling.two_way({**table(2, 2, 1), ("r0", "c0"): [0.0]}, seed=1) is None
