"""Two means, unpaired and paired, against statsmodels and by inversion."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fairtrial.stats.mean import (
    mean_contributions,
    mean_effect,
    mean_interval,
    mean_score,
    pooled_skewness,
    stratified_means,
)
from fairtrial.stats.moments import LARGEST_Z, reskewed, unskewed
from fairtrial.stats.paired_mean import (
    paired_mean_contributions,
    paired_mean_effect,
    paired_mean_interval,
    paired_mean_score,
)
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

RNG = np.random.default_rng(7)
BASELINE = RNG.lognormal(0.0, 0.5, 400)
CANDIDATE = RNG.lognormal(0.1, 0.6, 300)
HALVES = RNG.lognormal(0.0, 0.5, 250)
OTHERS = 1.03 * HALVES + RNG.normal(0, 0.2, 250)


def moments(*strata: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[S] n, mean, M2."""
    return (
        np.array([s.size for s in strata], dtype=float),
        np.array([s.mean() if s.size else 0.0 for s in strata]),
        np.array([((s - s.mean()) ** 2).sum() if s.size else 0.0 for s in strata]),
    )


def cross(*strata: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
    """[S] n, both means, both sums of squares, sum of products."""
    rows = []
    for a, b in strata:
        da, db = a - a.mean(), b - b.mean()
        rows.append((a.size, a.mean(), b.mean(), (da**2).sum(), (db**2).sum(), (da * db).sum()))
    return tuple(np.array(column, dtype=float) for column in zip(*rows, strict=True))


@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_one_stratum_is_the_unequal_variance_z_test(margin: float) -> None:
    reference, _ = CompareMeans(DescrStatsW(CANDIDATE), DescrStatsW(BASELINE)).ztest_ind(
        value=margin, usevar="unequal"
    )
    score = mean_score(*moments(BASELINE), *moments(CANDIDATE), margin=margin, relative=False, greater=True)
    assert score is not None
    assert score.z == pytest.approx(reference, rel=1e-9)


def test_a_relative_margin_is_a_linear_contrast() -> None:
    relative = mean_score(*moments(BASELINE), *moments(CANDIDATE), margin=0.1, relative=True, greater=True)
    scaled = mean_score(
        *moments(1.1 * BASELINE), *moments(CANDIDATE), margin=0.0, relative=False, greater=True
    )
    assert relative is not None
    assert scaled is not None
    assert relative.z == pytest.approx(scaled.z, rel=1e-12)


def test_paired_is_the_z_test_of_differences() -> None:
    reference, _ = DescrStatsW(OTHERS - HALVES).ztest_mean(value=0.01)
    score = paired_mean_score(*cross((HALVES, OTHERS)), margin=0.01, relative=False, greater=True)
    assert score is not None
    assert score.z == pytest.approx(reference, rel=1e-9)


def test_paired_strata_merge_exactly() -> None:
    whole = paired_mean_score(*cross((HALVES, OTHERS)), margin=0.02, relative=True, greater=True)
    cuts = [(HALVES[i:j], OTHERS[i:j]) for i, j in ((0, 1), (1, 90), (90, 250))]
    parts = paired_mean_score(*cross(*cuts), margin=0.02, relative=True, greater=True)
    assert whole is not None
    assert parts is not None
    assert parts.z == pytest.approx(whole.z, rel=1e-9)


def test_drift_of_the_base_under_changing_weights_is_no_evidence() -> None:
    rng = np.random.default_rng(8)
    strata = [
        (rng.normal(level, 0.1, n0), rng.normal(level, 0.1, n1))
        for level, n0, n1 in ((1.0, 900, 100), (2.0, 500, 500))
    ]
    n0, n1 = ([s[side] for s in strata] for side in (0, 1))
    stratified = mean_score(*moments(*n0), *moments(*n1), margin=0.0, relative=False, greater=True)
    pooled = mean_score(
        *moments(np.concatenate(n0)), *moments(np.concatenate(n1)), margin=0.0, relative=False, greater=True
    )
    assert stratified is not None
    assert pooled is not None
    assert abs(stratified.z) < 3
    assert pooled.z > 10


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("skewness", [0.0, 2.0])
def test_interval_and_test_agree(relative: bool, skewness: float) -> None:
    data = (*moments(BASELINE[:300], BASELINE[300:]), *moments(CANDIDATE[:50], CANDIDATE[50:]))
    interval = mean_interval(*data, relative=relative, critical=2.4, inflation=1.3, skewness=skewness)
    assert interval is not None
    for bound, greater in zip(interval, (True, False), strict=True):
        score = mean_score(
            *data, margin=bound, relative=relative, greater=greater, inflation=1.3, skewness=skewness
        )
        assert score is not None
        assert score.z == pytest.approx(2.4, abs=1e-4)


@pytest.mark.parametrize("relative", [False, True])
def test_paired_interval_and_test_agree(relative: bool) -> None:
    data = cross((HALVES, OTHERS))
    interval = paired_mean_interval(*data, relative=relative, critical=2.4)
    effect = paired_mean_effect(*data, relative=relative)
    assert interval is not None
    assert effect is not None
    assert interval[0] < effect.effect < interval[1]
    for bound, greater in zip(interval, (True, False), strict=True):
        score = paired_mean_score(*data, margin=bound, relative=relative, greater=greater)
        assert score is not None
        assert score.z == pytest.approx(2.4, abs=1e-9)


def test_a_ratio_to_about_nothing_is_unbounded() -> None:
    assert mean_interval(5, 0.1, 4.0, 5, 2.0, 4.0, relative=True, critical=2.0) == (-math.inf, math.inf)
    assert mean_effect(5, 0.0, 4.0, 5, 2.0, 4.0, relative=True) is None


def test_values_that_never_vary_are_decided_by_their_gap() -> None:
    apart = mean_score(50, 1.0, 0.0, 50, 2.0, 0.0, margin=0.5, relative=False, greater=True)
    same = paired_mean_score(50, 0.1, 0.1, 0.0, 0.0, 0.0, margin=0.0, relative=False, greater=True)
    assert apart is not None
    assert same is not None
    assert apart.z == LARGEST_Z
    assert same.z == 0.0


def test_too_little_data_gives_no_score() -> None:
    assert mean_score([], [], [], [], [], [], margin=0.0, relative=False, greater=True) is None
    assert mean_score(1, 1.0, 0.0, 1, 2.0, 0.0, margin=0.0, relative=False, greater=True) is None
    assert paired_mean_score(1, 1.0, 2.0, 0, 0, 0, margin=0.0, relative=False, greater=True) is None


def test_single_values_in_a_stratum_borrow_the_arms_variance() -> None:
    n, mean, m2 = moments(*(BASELINE[i : i + 4] for i in range(0, 400, 4)))
    singles = moments(*(CANDIDATE[i : i + 1] for i in range(99)), CANDIDATE[99:300])
    score = mean_score(n, mean, m2, *singles, margin=0.0, relative=False, greater=True)
    assert score is not None
    assert math.isfinite(score.z)


def test_skewness_of_the_arms_is_pooled_by_size() -> None:
    arms = [RNG.gamma(4.0, 1.0, 200_000), 3 * RNG.gamma(4.0, 1.0, 20_000)]
    args: list[float] = []
    for arm in arms:
        off = arm - arm.mean()
        args += [arm.size, (off**2).sum(), (off**3).sum()]
    assert float(pooled_skewness(*args)) == pytest.approx(1.0, abs=0.05)  # 2 / sqrt(4)


def test_an_arm_that_happened_upon_its_tail_is_not_taken_to_be_the_more_skewed_one() -> None:
    calm = stratified_means(400, 1.0, 400.0, 400, 1.0, 400.0, 3.0)
    lucky = stratified_means(400, 1.0, 400.0, 400, 1.1, 900.0, 3.0)
    assert float(calm.skewness) == float(lucky.skewness) == 0.0
    assert float(calm.freedom) == float(lucky.freedom) < 200
    uneven = stratified_means(3600, 1.0, 3600.0, 400, 1.0, 400.0, 3.0)
    third, variance = 3 * (1 / 400**2 - 1 / 3600**2), 1 / 400 + 1 / 3600
    assert float(uneven.skewness) == pytest.approx(third / variance**1.5)


@pytest.mark.parametrize("skewness", [-0.8, -0.1, 0.0, 0.3, 1.0])
def test_halls_cubic_is_monotone_and_inverted(skewness: float) -> None:
    t = np.linspace(-6, 6, 201)
    z = unskewed(t, np.asarray(skewness))
    assert np.all(np.diff(z) >= 0)
    assert [reskewed(float(v), skewness) for v in z] == pytest.approx(t.tolist(), abs=1e-6)


def test_contributions_add_up_to_the_centred_score() -> None:
    strata0 = [BASELINE[i : i + 40] for i in range(0, 400, 40)]
    strata1 = [CANDIDATE[i : i + 30] for i in range(0, 300, 30)]
    c = mean_contributions(*moments(*strata0), *moments(*strata1), relative=True)
    assert c.scores.shape == (10,)
    assert float(c.scores.sum()) == pytest.approx(0.0, abs=1e-9)
    pairs = paired_mean_contributions(
        *cross(*((HALVES[i : i + 25], OTHERS[i : i + 25]) for i in range(0, 250, 25)))
    )
    assert float(pairs.scores.sum()) == pytest.approx(0.0, abs=1e-9)
    assert np.all(pairs.variances > 0)
