"""Log buckets."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fairtrial.stats.buckets import MAX_RELATIVE_ERROR, LogBuckets


@pytest.mark.parametrize("margin", [0.01, 0.05, 0.1, 0.5, 1.0, -0.1, -0.5])
def test_a_margin_is_a_whole_number_of_buckets_of_little_error(margin: float) -> None:
    buckets = LogBuckets.for_margin(margin, relative=True, low=1e-4, high=60.0)
    assert buckets.ratio ** buckets.shift(margin) == pytest.approx(1 + margin, rel=1e-9)
    assert math.sqrt(buckets.ratio) - 1 <= MAX_RELATIVE_ERROR + 1e-12


def test_multiplying_values_moves_them_by_the_shift() -> None:
    buckets = LogBuckets.for_margin(0.1, relative=True, low=1e-4, high=60.0)
    values = np.random.default_rng(1).lognormal(-3, 1, 1000)
    moved = buckets.index(values * 1.1) - buckets.index(values)
    assert set(moved.tolist()) <= {buckets.shift(0.1)}


def test_every_value_lies_between_the_edges_of_its_bucket() -> None:
    buckets = LogBuckets(1.02, 1e-3, 10.0)
    values = np.geomspace(1e-3, 9.99, 5000)
    index = buckets.index(values)
    assert np.all(buckets.edges[index - 1] <= values * (1 + 1e-12))
    assert np.all(values < buckets.edges[np.minimum(index, buckets.inner)] * (1 + 1e-12))


def test_the_open_ends_take_what_has_no_logarithm() -> None:
    buckets = LogBuckets(1.02, 1e-3, 10.0)
    ends = buckets.index([0.0, -1.0, 9e-4, 10.3, math.inf, math.nan])
    assert ends.tolist() == [0, 0, 0, *[buckets.count - 1] * 3]
    assert buckets.counts([0.0, 0.5, math.inf, math.inf]).sum() == 4


def test_a_margin_between_buckets_is_refused() -> None:
    with pytest.raises(ValueError, match="no whole number of buckets"):
        LogBuckets(1.02, 1e-3, 10.0).shift(0.1)
    with pytest.raises(ValueError, match="above -1"):
        LogBuckets.for_margin(-1.0, relative=True, low=1e-3, high=10.0)
    with pytest.raises(ValueError, match="ratio > 1"):
        LogBuckets(1.0, 1e-3, 10.0)


@pytest.mark.parametrize("ratio", [1.001, 1.02, 1.5, 3.0])
def test_many_values_are_found_exactly_as_by_a_search_of_the_edges(ratio: float) -> None:
    buckets = LogBuckets(ratio, 1e-5, 3600.0)
    edges = buckets.edges
    around = [edges, np.nextafter(edges, 0), np.nextafter(edges, math.inf)]
    random = np.random.default_rng(1).lognormal(-4, 8, 100_000)
    strange = np.array([0.0, -0.0, math.inf, -math.inf, math.nan, -math.nan, 5e-324, -5e-324, 1e308, -1.0])
    values = np.concatenate([*around, random, -random[:100], strange])
    assert np.array_equal(buckets.index(values), np.searchsorted(edges, values, side="right"))
    few = values[:7]
    assert np.array_equal(buckets.index(few), buckets.index(values)[:7])
