"""Estimates against what is known of them."""

import zlib

import numpy as np
import pytest

from experiments import stats


def test_the_same_seed_gives_the_same_interval_and_it_holds_the_median():
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.3]
    one, two = stats.median_ci(values, seed=5), stats.median_ci(values, seed=5)
    assert one == two
    assert one.median == 3.0
    assert min(values) <= one.ci_low <= one.median <= one.ci_high <= max(values)


def test_one_trial_has_no_interval():
    assert stats.median_ci([2.0], seed=1) == stats.Estimate(1, 2.0, None, None)
    with pytest.raises(ValueError, match="at least one"):
        stats.median_ci([], seed=1)


def test_intervals_cover_the_true_median_about_as_often_as_they_say():
    draw = np.random.default_rng(7)
    hits = 0
    for seed in range(200):
        e = stats.median_ci(draw.normal(10, 2, 25), seed=seed)
        hits += e.ci_low <= 10 <= e.ci_high
    assert 180 <= hits <= 199


def test_quantiles_are_nearest_ranks():
    samples = np.arange(1, 1001)[::-1]
    assert [stats.quantile(samples, q) for q in (0.001, 0.5, 0.99, 0.999, 1)] == [1, 500, 990, 999,
                                                                                  1000]


def test_seeds_follow_from_words_alone():
    assert stats.seed_of("a", 1) == zlib.crc32(b"a/1")  # Not hash(), which each process salts anew.
    assert stats.seed_of("a", 1) != stats.seed_of("a", 2)


def test_intervals_that_touch_are_not_disjoint():
    a = stats.Estimate(5, 1, 0.9, 1.1)
    assert not stats.disjoint(a, stats.Estimate(5, 1.2, 1.1, 1.3))
    assert stats.disjoint(a, stats.Estimate(5, 1.2, 1.11, 1.3))
    assert not stats.disjoint(a, stats.Estimate(1, 9, None, None))
