"""Rates of events: the conditional binomial and the Poisson difference."""

from __future__ import annotations

import numpy as np
import pytest
from fairtrial.stats.batches import inflations
from fairtrial.stats.counts import (
    Counts,
    conditional_ratio,
    count_contributions,
    count_effect,
    count_interval,
    count_score,
    count_z,
    expected_events,
)
from scipy.special import ndtr
from scipy.stats import binom
from statsmodels.stats.rates import confint_poisson_2indep
from statsmodels.stats.rates import test_poisson_2indep as poisson_test

#: Gu, Ng, Tang and Schucany (2008): breast cancers and person-years, with and without hormones.
STUDY = (54308.7, 30, 51477.5, 60)


@pytest.mark.parametrize("ratio", [1.0, 1.2, 1.5, 2.5])
def test_a_study_agrees_with_the_exact_conditional_test_at_mid_p(ratio: float) -> None:
    n0, x0, n1, x1 = STUDY
    score = count_score(n0, x0, n1, x1, margin=ratio - 1, relative=True, greater=True)
    expected = poisson_test(x1, n1, x0, n0, value=ratio, method="cond-midp", alternative="larger")
    assert score is not None
    assert float(ndtr(-score.z)) == pytest.approx(expected.pvalue, rel=0.02)


def test_it_is_close_to_the_binomial_at_few_events() -> None:
    for x0, x1 in ((12, 21), (20, 5), (15, 15), (40, 3)):
        share = 1.5 * 20 / (30 + 1.5 * 20)
        tail = binom.sf(x1 - 1, x0 + x1, share) - binom.pmf(x1, x0 + x1, share) / 2
        c = Counts.of(30, x0, 20, x1)
        z = float(count_z(c, margin=0.5, relative=True))
        assert float(ndtr(-z)) == pytest.approx(tail, rel=0.06)


@pytest.mark.parametrize("margin", [0.0, 0.0002, 0.0004])
def test_a_difference_agrees_with_the_score_test_of_statsmodels(margin: float) -> None:
    n0, x0, n1, x1 = STUDY
    score = count_score(n0, x0, n1, x1, margin=margin, relative=False, greater=True)
    expected = poisson_test(
        x1, n1, x0, n0, value=margin, method="score", compare="diff", alternative="larger"
    )
    assert score is not None
    assert score.z == pytest.approx(expected.statistic, abs=0.03)


def test_intervals_of_a_study() -> None:
    n0, x0, n1, x1 = STUDY
    for relative, compare in ((True, "ratio"), (False, "diff")):
        low, high = count_interval(*STUDY, relative=relative, critical=1.959964) or (0.0, 0.0)
        expected = confint_poisson_2indep(x1, n1, x0, n0, method="score", compare=compare)
        assert (low, high) == pytest.approx(np.array(expected) - relative, rel=0.04)


@pytest.mark.parametrize("relative", [True, False])
def test_the_interval_ends_where_the_score_reaches_the_critical_value(relative: bool) -> None:
    data = [np.array(each) for each in ((200, 50, 90), (31, 9, 22), (40, 60, 90), (8, 15, 30))]
    low, high = count_interval(*data, relative=relative, critical=2.1, inflation=1.3) or (0.0, 0.0)
    for margin, z in ((low, 2.1), (high, -2.1)):
        score = count_score(*data, margin=margin, relative=relative, greater=True, inflation=1.3)
        assert score is not None
        assert score.z == pytest.approx(z, abs=1e-4)
    effect = count_effect(*data, relative=relative)
    assert effect is not None
    assert low < effect.effect < high
    at = count_score(*data, margin=effect.effect, relative=relative, greater=True)
    assert at is not None
    assert at.z == pytest.approx(0.0, abs=0.05)


def test_a_difference_may_exceed_one_event() -> None:
    low, high = count_interval(40, 60, 40, 260, relative=False, critical=2.0) or (0.0, 0.0)
    assert 4 < low < 5 < high < 6


def test_counting_in_hundreds_changes_nothing_but_the_unit() -> None:
    few, many = (count_interval(n, 30, n, 60, relative=False, critical=2.0) for n in (10, 1000))
    assert few is not None
    assert many is not None
    assert few == pytest.approx(100 * np.array(many), rel=1e-6)


def test_the_conditional_estimate_is_exact_in_one_stratum() -> None:
    assert float(conditional_ratio(Counts.of(200, 30, 50, 12))) == pytest.approx(12 / 50 / (30 / 200))
    assert float(conditional_ratio(Counts.of(200, 0, 50, 12))) == np.inf
    assert float(conditional_ratio(Counts.of(200, 5, 50, 0))) == 0.0


def test_rates_may_differ_between_strata_at_will() -> None:
    rates, ratio = np.array([0.1, 20.0, 3.0]), 1.5
    n0, n1 = np.array([1000, 500, 10]), np.array([10, 700, 900])
    data = (n0, n0 * rates, n1, n1 * rates * ratio)
    effect = count_effect(*data, relative=True)
    assert effect is not None
    assert effect.effect == pytest.approx(0.5)


def test_ten_events_must_be_expected_in_the_smaller_arm() -> None:
    assert count_score(900, 80, 100, 10, margin=0.0, relative=True, greater=True) is None
    assert count_score(900, 90, 100, 10, margin=0.0, relative=True, greater=True) is not None
    assert count_score(900, 90, 100, 10, margin=0.0, relative=True, greater=True, inflation=1.2) is None
    assert expected_events(900, 90, 100, 10, margin=0.5, relative=True) == pytest.approx(150 / 1050 * 100)
    # a baseline that is quiet for long enough says something about an absolute margin
    assert count_score(400, 0, 400, 0, margin=0.01, relative=False, greater=False) is None
    safe = count_score(4000, 0, 4000, 0, margin=0.01, relative=False, greater=False)
    assert safe is not None
    assert safe.z > 5


def test_no_events_and_no_traffic() -> None:
    assert count_score(400, 0, 400, 0, margin=0.1, relative=True, greater=True) is None
    assert count_effect(400, 0, 400, 7, relative=True) is None
    failing = count_score(400, 0, 400, 40, margin=0.0, relative=True, greater=True)
    assert failing is not None
    assert failing.z > 6
    low, high = count_interval(400, 9, 400, 0, relative=True, critical=2.0) or (0.0, 0.0)
    assert low == -1
    assert high < 0
    assert count_effect(400, 3, 0, 0, relative=False) is None
    assert count_interval(400, 3, 0, 0, relative=False, critical=2.0) is None
    assert count_interval(400, 3, 400, 5, relative=False, critical=np.inf) == (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("relative", "margin"), [(True, 0.0), (True, 0.2), (False, 0.0), (False, 0.002), (False, -0.002)]
)
def test_rates_of_error_at_90_to_10_and_low_rates(relative: bool, margin: float) -> None:
    """14 events in the smaller arm; a Wald z claims an improvement more than 7% of the time for 5%."""
    rng = np.random.default_rng(1)
    runs, strata, rate = 6000, 120, 0.01
    n0, n1 = np.full((runs, strata), 90), np.full((runs, strata), 10)
    other = rate * (1 + margin) if relative else rate + margin
    x0, x1 = rng.poisson(n0 * rate), rng.poisson(n1 * other)
    z = count_z(Counts.of(n0, x0, n1, x1), margin=np.full(runs, margin), relative=relative)
    for rejected in (z > 1.645, z < -1.645):
        assert rejected.mean() == pytest.approx(0.05, abs=0.01)
    factor = 1 + margin if relative else 1.0
    gap = x1.sum(axis=1) / 1200 - factor * x0.sum(axis=1) / 10800 - (0 if relative else margin)
    wald = gap / np.sqrt(x1.sum(axis=1) / 1200**2 + factor**2 * x0.sum(axis=1) / 10800**2)
    assert (wald < -1.645).mean() > 0.07


@pytest.mark.parametrize("relative", [True, False])
def test_clumps_are_measured_by_batches(relative: bool) -> None:
    """Events that come five at a time: taken for Poisson, an A/A is called different half of the time."""
    rng = np.random.default_rng(2)
    runs, strata, clump = 2000, 200, 5
    n0, n1 = np.full((runs, strata), 60), np.full((runs, strata), 40)
    x0, x1 = (clump * rng.poisson(n * 0.02 / clump) for n in (n0, n1))
    z = count_z(Counts.of(n0, x0, n1, x1), margin=np.zeros(runs), relative=relative)
    parts = count_contributions(n0, x0, n1, x1, relative=relative)
    found = inflations(parts.scores, parts.variances)
    assert found.mean() == pytest.approx(clump, rel=0.15)
    assert (z > 1.645).mean() > 0.2
    assert (z / np.sqrt(found) > 1.645).mean() < 0.06


@pytest.mark.parametrize("relative", [True, False])
def test_an_effect_is_not_taken_for_clumps(relative: bool) -> None:
    rng = np.random.default_rng(3)
    n0, n1 = np.full((2000, 100), 90), np.full((2000, 100), 10)
    x0, x1 = rng.poisson(n0 * 0.02), rng.poisson(n1 * 0.1)
    parts = count_contributions(n0, x0, n1, x1, relative=relative)
    assert inflations(parts.scores, parts.variances).mean() < 1.12
