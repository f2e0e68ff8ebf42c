"""Tests made once: textbook values, and the same from other libraries."""

import numpy as np
import pytest
from fairtrial.stats.fixed.fisher import fisher_exact
from fairtrial.stats.fixed.mann_whitney import mann_whitney, superiority
from fairtrial.stats.fixed.mcnemar import mcnemar_asymptotic, mcnemar_exact
from fairtrial.stats.fixed.newcombe import newcombe_interval, newcombe_paired_interval, wilson_interval
from fairtrial.stats.fixed.poisson import conditional_poisson
from fairtrial.stats.fixed.score_test import score_test
from fairtrial.stats.fixed.welch import Sample, welch
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportions_ztest
from statsmodels.stats.proportion import test_proportions_2indep as two_proportions


def test_fishers_tea():
    """Of 4 cups with milk first the lady names 3: p 17/70 (Fisher, 1935)."""
    assert fisher_exact(4, 1, 4, 3, greater=True).p_value == pytest.approx(17 / 70)


@pytest.mark.parametrize("table", [(20, 3, 25, 9), (100, 0, 90, 6), (50, 50, 40, 33)])
@pytest.mark.parametrize("greater", [True, False])
def test_fisher_as_scipy_has_it(table: tuple[int, int, int, int], greater: bool):
    n0, x0, n1, x1 = table
    expected = stats.fisher_exact(
        [[x1, n1 - x1], [x0, n0 - x0]], alternative="greater" if greater else "less"
    ).pvalue
    assert fisher_exact(n0, x0, n1, x1, greater=greater).p_value == pytest.approx(expected, rel=1e-9)


def test_mcnemar_as_statsmodels_has_it():
    """Agresti's approval ratings (2002, table 10.1): 86 changed one way and 150 the other."""
    exact = mcnemar([[794, 150], [86, 570]], exact=True).pvalue
    assert 2 * mcnemar_exact(150, 86, greater=False).p_value == pytest.approx(exact, rel=1e-9)
    chi2 = mcnemar([[794, 150], [86, 570]], exact=False, correction=False).pvalue
    assert 2 * mcnemar_asymptotic(150, 86, greater=False).p_value == pytest.approx(chi2, rel=1e-9)
    mid = mcnemar_exact(150, 86, greater=False, mid_p=True).p_value
    assert mid < mcnemar_exact(150, 86, greater=False).p_value


# Newcombe (1998), Statistics in Medicine 17, 873-890, table II, method 10; candidate first there.
@pytest.mark.parametrize(
    ("counts", "published"),
    [
        ((80, 48, 70, 56), (0.0524, 0.3339)),  # 56/70 - 48/80
        ((10, 3, 10, 9), (0.1705, 0.8090)),  # 9/10 - 3/10
        ((29, 0, 56, 5), (-0.0381, 0.1926)),  # 5/56 - 0/29
        ((20, 0, 10, 0), (-0.1611, 0.2775)),  # 0/10 - 0/20
        ((10, 0, 10, 10), (0.6075, 1.0000)),  # 10/10 - 0/10
    ],
)
def test_newcombes_intervals(counts: tuple[int, int, int, int], published: tuple[float, float]):
    n0, x0, n1, x1 = counts
    assert newcombe_interval(n0, x0, n1, x1, level=0.95) == pytest.approx(published, abs=6e-5)


def test_wilsons_interval():
    """Newcombe (1998), 857-872, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    for (x, n), published in {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }.items():
        assert wilson_interval(x, n, level=0.95) == pytest.approx(published, abs=6e-5)


def test_newcombes_paired_interval_is_that_of_the_difference():
    low, high = newcombe_paired_interval(794, 86, 150, 570, level=0.95)
    assert low < (150 - 86) / 1600 < high
    assert (low, high) == (pytest.approx(0.0212, abs=2e-3), pytest.approx(0.0588, abs=2e-3))


def test_the_score_test_as_statsmodels_has_it():
    n0, x0, n1, x1 = 400, 30, 420, 55
    expected = two_proportions(
        x1, n1, x0, n0, value=0.02, method="score", compare="diff", alternative="larger", correction=True
    ).pvalue
    found = score_test(n0, x0, n1, x1, margin=0.02, relative=False, greater=True)
    assert found.p_value == pytest.approx(expected, rel=5e-3)
    plain = proportions_ztest([x1, x0], [n1, n0], alternative="larger")[1]
    at_zero = score_test(n0, x0, n1, x1, margin=0.0, relative=False, greater=True, miettinen_nurminen=False)
    assert at_zero.p_value == pytest.approx(plain, rel=1e-6)


def test_welch_as_scipy_has_it():
    rng = np.random.default_rng(2)
    first, second = rng.normal(5, 1, 30), rng.normal(5.6, 2, 45)
    samples = [Sample(a.size, a.mean(), ((a - a.mean()) ** 2).sum()) for a in (first, second)]
    expected = stats.ttest_ind(second, first, equal_var=False, alternative="greater")
    found = welch(*samples, margin=0.0, relative=False, greater=True, level=0.9)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    interval = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.9)
    assert found.interval == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_welchs_ratio_is_the_contrast():
    first, second = Sample(50, 10.0, 200.0), Sample(60, 12.0, 300.0)
    at_margin = welch(first, second, margin=0.2, relative=True, greater=True)
    assert at_margin.p_value == pytest.approx(0.5)
    assert at_margin.interval is not None
    assert at_margin.interval[0] < 0.2 < at_margin.interval[1]


def test_mann_whitney_as_scipy_has_it():
    rng = np.random.default_rng(5)
    first, second = rng.integers(0, 8, 60), rng.integers(1, 9, 80)
    hists = [np.bincount(a, minlength=10) for a in (first, second)]
    expected = stats.mannwhitneyu(
        second, first, alternative="greater", use_continuity=False, method="asymptotic"
    )
    assert mann_whitney(*hists, greater=True).p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert superiority(*hists) == pytest.approx(expected.statistic / (60 * 80))


def test_conditional_poisson_is_the_exact_binomial():
    found = conditional_poisson(1000, 20, 500, 19, margin=0.0, greater=True)
    expected = stats.binomtest(19, 39, 1 / 3, alternative="greater").pvalue
    assert found.p_value == pytest.approx(expected, rel=1e-9)
    reference = stats.poisson_means_test(19, 500, 20, 1000, alternative="greater").pvalue
    assert found.p_value == pytest.approx(reference, rel=0.5)  # the E-test is less conservative
