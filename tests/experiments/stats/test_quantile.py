"""Quantiles by exceedance of a common cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fairtrial.stats.buckets import LogBuckets
from fairtrial.stats.quantile import (
    quantile_contributions,
    quantile_effect,
    quantile_interval,
    quantile_score,
)

BUCKETS = LogBuckets.for_margin(0.1, relative=True, low=1e-4, high=60.0)
Q = 0.9


def histograms(values: np.ndarray) -> np.ndarray:
    """[S, B] of values [S, n]."""
    return np.array([BUCKETS.counts(row) for row in values])


def arms(factor: float, seed: int = 1, strata: int = 60, size: int = 80) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first, second = rng.lognormal(-4, 0.5, (2, strata, size))
    return first, factor * second


def score(h0: np.ndarray, h1: np.ndarray, margin: float, relative: bool = True) -> float:
    found = quantile_score(h0, h1, buckets=BUCKETS, q=Q, margin=margin, relative=relative, greater=True)
    assert found is not None
    return found.z


def test_estimates_are_within_the_bucket_error() -> None:
    first, second = arms(1.3)
    effect = quantile_effect(histograms(first), histograms(second), buckets=BUCKETS, q=Q, relative=True)
    assert effect is not None
    assert effect.baseline == pytest.approx(np.quantile(first, Q), rel=0.01)
    assert effect.candidate == pytest.approx(np.quantile(second, Q), rel=0.01)
    assert effect.effect == pytest.approx(effect.candidate / effect.baseline - 1)
    density = math.exp(-0.5 * 1.2816**2) / math.sqrt(2 * math.pi) / 0.5
    asymptotic = math.sqrt(Q * (1 - Q) * 2 / first.size) / density * 1.3
    assert effect.standard_error == pytest.approx(asymptotic, rel=0.3)


def test_a_margin_divides_the_candidate() -> None:
    first, second = arms(1.05)
    h0, h1 = histograms(first), histograms(second)
    assert score(h0, h1, 0.1) == pytest.approx(score(h0, histograms(second / 1.1), 0.0), abs=1e-9)


def test_an_absolute_margin_is_a_moved_cut() -> None:
    first, second = arms(1.0)
    shifted = second + 0.004
    h0 = histograms(first)
    exact = score(h0, histograms(second), 0.0, relative=False)
    assert score(h0, histograms(shifted), 0.004, relative=False) == pytest.approx(exact, abs=0.5)
    assert score(h0, histograms(shifted), 0.0, relative=False) > exact + 2.5


@pytest.mark.parametrize(("margin", "relative"), [(0.1, True), (-0.2, True), (0.003, False), (0.0, True)])
def test_swapping_the_arms_turns_the_sign(margin: float, relative: bool) -> None:
    first, second = arms(1.1)
    h0, h1 = histograms(first), histograms(second)
    back = 1 / (1 + margin) - 1 if relative else -margin
    assert score(h1, h0, back, relative) == pytest.approx(-score(h0, h1, margin, relative), abs=0.02)


def test_failures_exceed_every_cut_and_no_margin_moves_them() -> None:
    first, second = arms(1.0)
    failing = second.copy()
    failing[:, :5] = math.inf
    assert score(histograms(first), histograms(failing), 0.1) > score(
        histograms(first), histograms(second), 0.1
    )
    half = first.copy()
    half[:, :40] = math.inf
    effect = quantile_effect(histograms(first), histograms(half), buckets=BUCKETS, q=Q, relative=True)
    assert effect is not None
    assert effect.candidate == math.inf
    assert score(histograms(first), histograms(half), 1.0) > 10


def test_two_arms_that_fail_too_often_have_the_same_infinite_quantile() -> None:
    first, second = arms(1.0)
    first[:, :10], second[:, :30] = math.inf, math.inf
    h0, h1 = histograms(first), histograms(second)
    assert score(h0, h1, 0.0) == pytest.approx(0.0, abs=1e-9)
    effect = quantile_effect(h0, h1, buckets=BUCKETS, q=Q, relative=True)
    assert effect is not None
    assert (effect.baseline, effect.candidate, effect.effect) == (math.inf, math.inf, 0.0)


def test_drift_under_changing_weights_is_no_evidence() -> None:
    rng = np.random.default_rng(2)
    sizes = [(1800, 200)] * 5 + [(1000, 1000)] * 5
    levels = [-4.0] * 5 + [-3.5] * 5
    h0 = np.array(
        [BUCKETS.counts(rng.lognormal(m, 0.5, n0)) for m, (n0, _) in zip(levels, sizes, strict=True)]
    )
    h1 = np.array(
        [BUCKETS.counts(rng.lognormal(m, 0.5, n1)) for m, (_, n1) in zip(levels, sizes, strict=True)]
    )
    assert abs(score(h0, h1, 0.0)) < 3
    assert score(h0.sum(axis=0), h1.sum(axis=0), 0.0) > 8


@pytest.mark.parametrize("relative", [True, False])
def test_interval_and_test_agree(relative: bool) -> None:
    first, second = arms(1.2)
    h0, h1 = histograms(first), histograms(second)
    interval = quantile_interval(h0, h1, buckets=BUCKETS, q=Q, relative=relative, critical=2.5)
    effect = quantile_effect(h0, h1, buckets=BUCKETS, q=Q, relative=relative)
    assert interval is not None
    assert effect is not None
    assert interval[0] < effect.effect < interval[1]
    assert score(h0, h1, interval[0], relative) == pytest.approx(2.5, abs=0.15)
    assert score(h0, h1, interval[1], relative) == pytest.approx(-2.5, abs=0.15)


def test_few_buckets_give_an_interval_all_the_same() -> None:
    h0 = np.zeros((1, BUCKETS.count))
    h0[0, 300] = 500
    for relative in (True, False):
        interval = quantile_interval(h0, h0, buckets=BUCKETS, q=Q, relative=relative, critical=2.0)
        assert interval is not None
        assert interval[0] < 0 < interval[1]
        assert not any(math.isnan(bound) for bound in interval)


def test_ten_expected_exceedances_are_waited_for() -> None:
    first, second = arms(1.0, strata=1, size=1000)
    h0, h1 = histograms(first), histograms(second)
    keywords = {"buckets": BUCKETS, "margin": 0.0, "relative": True, "greater": True}
    assert quantile_score(h0, h1, q=0.99, **keywords) is not None  # pyright: ignore
    assert quantile_score(h0, h1, q=0.991, **keywords) is None  # pyright: ignore
    empty = np.zeros_like(h0)
    assert quantile_score(h0, empty, q=0.9, **keywords) is None  # pyright: ignore


def test_histograms_of_other_buckets_are_refused() -> None:
    wrong = np.zeros((2, 7))
    with pytest.raises(ValueError, match="two histograms of"):
        quantile_effect(wrong, wrong, buckets=BUCKETS, q=Q, relative=True)
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile_effect(wrong, wrong, buckets=BUCKETS, q=1.0, relative=True)


def test_independent_contributions_have_their_stated_variance() -> None:
    first, second = arms(1.15, strata=400, size=50)
    c = quantile_contributions(histograms(first), histograms(second), buckets=BUCKETS, q=Q)
    assert float(c.scores.sum()) == pytest.approx(0.0, abs=1e-9)
    assert float((c.scores**2).sum() / c.variances.sum()) == pytest.approx(1.0, abs=0.2)
