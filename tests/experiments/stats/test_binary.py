"""Two independent proportions, against statsmodels and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fairtrial.stats.binary import (
    binary_effect,
    binary_interval,
    binary_score,
    constrained_rates,
    expected_events,
    table_z,
)
from fairtrial.stats.strata import table
from scipy.optimize import minimize_scalar
from scipy.special import xlogy
from statsmodels.stats.proportion import score_test_proportions_2indep

TABLES = [(200, 30, 180, 45), (500, 5, 400, 9), (50, 25, 60, 20), (1000, 100, 100, 16)]


@pytest.mark.parametrize(("n0", "x0", "n1", "x1"), TABLES)
@pytest.mark.parametrize("margin", [0.2, -0.3])
def test_constrained_rates_of_a_ratio_are_those_of_statsmodels(
    n0: int, x0: int, n1: int, x1: int, margin: float
) -> None:
    reference = score_test_proportions_2indep(x1, n1, x0, n0, value=1 + margin, compare="ratio")
    p0, p1 = constrained_rates(table(n0, x0, n1, x1), margin=margin, relative=True)
    assert (float(p1), float(p0)) == pytest.approx((reference.prop1_null, reference.prop2_null), abs=1e-8)


@pytest.mark.parametrize(
    ("n0", "x0", "n1", "x1"), [*TABLES, (100, 0, 100, 0), (100, 0, 80, 7), (40, 40, 30, 29)]
)
@pytest.mark.parametrize("margin", [0.05, -0.03, 0.4])
def test_constrained_rates_of_a_difference_are_the_most_likely(
    n0: int, x0: int, n1: int, x1: int, margin: float
) -> None:
    """By direct search: statsmodels 0.14 has a count for a size in its cubic (`tmp1`)."""

    def unlikely(p0: float) -> float:
        p1 = p0 + margin
        return -float(xlogy(x0, p0) + xlogy(n0 - x0, 1 - p0) + xlogy(x1, p1) + xlogy(n1 - x1, 1 - p1))

    bounds = (max(0.0, -margin) + 1e-12, min(1.0, 1 - margin) - 1e-12)
    found = minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-10})
    p0, p1 = constrained_rates(table(n0, x0, n1, x1), margin=margin, relative=False)
    assert float(p0) == pytest.approx(found.x, abs=1e-5)
    assert float(p1 - p0) == pytest.approx(margin, abs=1e-9)


@pytest.mark.parametrize(("n0", "x0", "n1", "x1"), TABLES)
@pytest.mark.parametrize(("margin", "relative"), [(0.0, False), (0.2, True), (-0.1, True)])
def test_z_is_close_to_the_score_test(
    n0: int, x0: int, n1: int, x1: int, margin: float, relative: bool
) -> None:
    reference = score_test_proportions_2indep(
        x1,
        n1,
        x0,
        n0,
        value=1 + margin if relative else margin,
        compare="ratio" if relative else "diff",
        correction=False,
    )
    z = float(table_z(table(n0, x0, n1, x1), margin=margin, relative=relative))
    assert z == pytest.approx(reference.statistic, abs=0.1 + 0.05 * abs(reference.statistic))


def test_z_is_the_root_of_the_likelihood_ratio_at_even_split() -> None:
    # equal arms and margin 0 have no skewness, so nothing is corrected: G^2 of the 2 x 2 table, by hand
    counts = np.array([[60, 440], [90, 410]], dtype=float)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    g2 = 2 * float((counts * np.log(counts / expected)).sum())
    score = binary_score(500, 60, 500, 90, margin=0.0, relative=False, greater=True)
    assert score is not None
    assert score.z == pytest.approx(math.sqrt(g2), rel=1e-9)
    assert score.information == pytest.approx(250)


def test_a_smaller_arm_waits_for_ten_expected_events() -> None:
    assert binary_score(9000, 90, 990, 10, margin=0.0, relative=False, greater=True) is None
    assert expected_events(9000, 90, 1000, 10, margin=0.0, relative=False) == pytest.approx(10)
    assert binary_score(9000, 90, 1010, 11, margin=0.0, relative=False, greater=True) is not None


def test_rare_failures_count_as_events_too() -> None:
    assert binary_score(1000, 995, 1000, 997, margin=0.0, relative=False, greater=True) is None


def test_no_error_at_all_is_evidence_for_an_absolute_margin_only() -> None:
    safe = binary_score(5000, 0, 5000, 0, margin=0.005, relative=False, greater=False)
    assert safe is not None
    assert safe.z > 5
    assert binary_score(5000, 0, 5000, 0, margin=0.1, relative=True, greater=False) is None


def test_drift_of_the_base_rate_under_changing_weights_is_no_evidence() -> None:
    # 10% then 50% of the traffic, while errors double: pooled, the candidate looks worse
    n0, n1 = [9000, 5000], [1000, 5000]
    x0, x1 = [450, 500], [50, 500]
    stratified = binary_score(n0, x0, n1, x1, margin=0.0, relative=False, greater=True)
    pooled = binary_score(sum(n0), sum(x0), sum(n1), sum(x1), margin=0.0, relative=False, greater=True)
    assert stratified is not None
    assert pooled is not None
    assert abs(stratified.z) < 0.05
    assert pooled.z > 5


def test_differing_strata_are_weighed_by_their_own_variance() -> None:
    # 2% and 50%: the pooled rate's variance would be 1.7 times too large
    t = table([1000, 1000], [20, 500], [1000, 1000], [20, 500])
    own = 0.02 * 0.98 + 0.5 * 0.5
    assert float(t.heterogeneity) == pytest.approx(own / 2 / (0.26 * 0.74), rel=2e-3)


def test_strata_with_one_arm_only_do_not_count() -> None:
    alone = binary_effect([500, 300, 0], [50, 299, 0], [400, 0, 77], [44, 0, 77], relative=False)
    assert alone == binary_effect(500, 50, 400, 44, relative=False)


@pytest.mark.parametrize("relative", [False, True])
def test_interval_and_test_agree(relative: bool) -> None:
    counts = ([900, 800], [90, 64], [300, 500], [36, 47])
    interval = binary_interval(*counts, relative=relative, critical=2.3)
    effect = binary_effect(*counts, relative=relative)
    assert interval is not None
    assert effect is not None
    assert interval[0] < effect.effect < interval[1]
    for bound, greater in zip(interval, (True, False), strict=True):
        score = binary_score(*counts, margin=bound, relative=relative, greater=greater)
        assert score is not None
        assert score.z == pytest.approx(2.3, abs=1e-4)
    assert interval[1] - interval[0] == pytest.approx(2 * 2.3 * effect.standard_error, rel=0.15)


def test_a_ratio_to_nothing_has_no_effect_or_interval() -> None:
    assert binary_effect(100, 0, 100, 5, relative=True) is None
    assert binary_interval(100, 0, 100, 5, relative=True, critical=2.0) is None
    assert binary_effect([], [], [], [], relative=False) is None


def test_an_uneven_split_has_the_right_tails() -> None:
    # the plain score z of a 90/10 split is skewed: here both tails, one look, no strata
    rng = np.random.default_rng(5)
    runs, rate = 100_000, 0.055
    x0, x1 = rng.binomial(2700, rate, (runs, 1)), rng.binomial(300, rate, (runs, 1))
    z = table_z(table(np.full_like(x0, 2700), x0, np.full_like(x1, 300), x1), margin=0.0, relative=False)
    error = 4 * math.sqrt(0.05 * 0.95 / runs)
    assert (z > 1.6449).mean() == pytest.approx(0.05, abs=error)
    assert (z < -1.6449).mean() == pytest.approx(0.05, abs=error)
    assert z.std() == pytest.approx(1.0, abs=0.01)
