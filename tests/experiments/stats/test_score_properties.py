"""What every score has in common, whatever the data: order, symmetry, and never NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fairtrial.stats.binary import binary_effect, binary_interval, binary_score
from fairtrial.stats.buckets import LogBuckets
from fairtrial.stats.mean import mean_interval, mean_score
from fairtrial.stats.paired import paired_binary_interval, paired_binary_score
from fairtrial.stats.quantile import quantile_effect, quantile_interval, quantile_score
from fairtrial.stats.score import Score
from hypothesis import given, settings
from hypothesis import strategies as st

MARGINS = st.tuples(st.sampled_from([0.0, 0.01, -0.01, 0.1, -0.1, 0.4, -0.4]), st.booleans())
QUIET = settings(max_examples=80, deadline=None)


@st.composite
def two_arms(draw: st.DrawFn) -> tuple[list[int], ...]:
    """[S] n0, x0, n1, x1."""
    strata = draw(st.integers(1, 6))
    n0, n1 = (draw(st.lists(st.integers(0, 400), min_size=strata, max_size=strata)) for _ in range(2))
    x0, x1 = ([draw(st.integers(0, n)) for n in sizes] for sizes in (n0, n1))
    return n0, x0, n1, x1


def opposite(margin: float, relative: bool) -> float:
    """The same claim, told of the other arm."""
    return 1 / (1 + margin) - 1 if relative else -margin


def assert_equal(first: Score | None, second: Score | None, *, sign: int = 1) -> None:
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert math.isfinite(first.z)
        assert first.z == pytest.approx(sign * second.z, abs=2e-6, rel=1e-6)  # each is off by up to 1e-6
        assert first.information == pytest.approx(second.information)


@QUIET
@given(two_arms(), MARGINS, st.randoms())
def test_binary_scores_ignore_the_order_of_strata(arms, margin, random) -> None:
    value, relative = margin
    rows = list(zip(*arms, strict=True))
    random.shuffle(rows)
    shuffled = tuple(list(column) for column in zip(*rows, strict=True))
    keywords = {"margin": value, "relative": relative, "greater": True}
    assert_equal(binary_score(*arms, **keywords), binary_score(*shuffled, **keywords))


@QUIET
@given(two_arms(), MARGINS)
def test_binary_scores_turn_their_sign_with_the_arms(arms, margin) -> None:
    value, relative = margin
    n0, x0, n1, x1 = arms
    there = binary_score(n0, x0, n1, x1, margin=value, relative=relative, greater=True)
    back = binary_score(n1, x1, n0, x0, margin=opposite(value, relative), relative=relative, greater=True)
    assert_equal(there, back, sign=-1)
    less = binary_score(n0, x0, n1, x1, margin=value, relative=relative, greater=False)
    assert_equal(there, less, sign=-1)


@QUIET
@given(two_arms(), st.booleans(), st.floats(0.0, 6.0))
def test_binary_intervals_hold_the_estimate(arms, relative, critical) -> None:
    interval = binary_interval(*arms, relative=relative, critical=critical)
    effect = binary_effect(*arms, relative=relative)
    assert (interval is None) == (effect is None)
    if interval is not None and effect is not None:
        assert not any(math.isnan(bound) for bound in interval)
        assert interval[0] <= interval[1] + 1e-6
        if critical > 0.5:  # the correction moves the centre by at most 0.07 standard errors
            assert interval[0] - 1e-6 <= effect.effect <= interval[1] + 1e-6


@QUIET
@given(st.tuples(*[st.integers(0, 300)] * 4), MARGINS)
def test_paired_scores_turn_their_sign_with_the_arms(counts, margin) -> None:
    value, relative = margin
    n11, n10, n01, n00 = counts
    there = paired_binary_score(*counts, margin=value, relative=relative, greater=True)
    back = paired_binary_score(
        n11, n01, n10, n00, margin=opposite(value, relative), relative=relative, greater=True
    )
    assert_equal(there, back, sign=-1)


@QUIET
@given(st.tuples(*[st.integers(0, 300)] * 4), st.booleans(), st.floats(0.5, 6.0))
def test_paired_intervals_are_never_nan(counts, relative, critical) -> None:
    interval = paired_binary_interval(*counts, relative=relative, critical=critical)
    if interval is not None:
        assert not any(math.isnan(bound) for bound in interval)
        assert interval[0] <= interval[1] + 1e-6


VALUES = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=0, max_size=8)


@QUIET
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=4), st.floats(-1e3, 1e3))
def test_mean_scores_are_finite_and_antisymmetric(strata, margin) -> None:
    def moments(side: int) -> tuple[np.ndarray, ...]:
        rows = [np.array(s[side], dtype=float) for s in strata]
        return (
            np.array([r.size for r in rows], dtype=float),
            np.array([r.mean() if r.size else 0.0 for r in rows]),
            np.array([((r - r.mean()) ** 2).sum() if r.size else 0.0 for r in rows]),
        )

    there = mean_score(*moments(0), *moments(1), margin=margin, relative=False, greater=True)
    back = mean_score(*moments(1), *moments(0), margin=-margin, relative=False, greater=True)
    assert_equal(there, back, sign=-1)
    for relative in (False, True):
        interval = mean_interval(*moments(0), *moments(1), relative=relative, critical=2.0)
        assert interval is None or not any(math.isnan(bound) for bound in interval)


BUCKETS = LogBuckets.for_margin(0.1, relative=True, low=0.01, high=1.0)
COUNTS = st.lists(st.tuples(st.integers(0, BUCKETS.count - 1), st.integers(0, 200)), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=3),
    st.sampled_from([0.0, 0.1, 0.21]),
    st.booleans(),
)
def test_quantile_scores_are_finite_and_antisymmetric(strata, margin, relative) -> None:
    hist = np.zeros((2, len(strata), BUCKETS.count))
    for s, sides in enumerate(strata):
        for side, entries in enumerate(sides):
            for bucket, count in entries:
                hist[side, s, bucket] += count
    keywords = {"buckets": BUCKETS, "q": 0.9, "relative": relative}
    there = quantile_score(hist[0], hist[1], margin=margin, greater=True, **keywords)
    less = quantile_score(hist[0], hist[1], margin=margin, greater=False, **keywords)
    assert_equal(there, less, sign=-1)
    if margin == 0:
        assert_equal(there, quantile_score(hist[1], hist[0], margin=0.0, greater=True, **keywords), sign=-1)
    effect = quantile_effect(hist[0], hist[1], **keywords)
    interval = quantile_interval(hist[0], hist[1], critical=2.0, **keywords)
    for number in (*(interval or ()), *((effect.effect, effect.standard_error) if effect else ())):
        assert not math.isnan(number)
