"""Means adjusted for what was known before: CUPED."""

from __future__ import annotations

import numpy as np
import pytest
from experiments.stats.joint_moments import columns, joint_moments
from fairtrial.stats.adjusted import (
    adjusted_contributions,
    adjusted_effect,
    adjusted_interval,
    adjusted_means,
    adjusted_score,
    slope,
)
from fairtrial.stats.mean import mean_contributions, mean_effect, mean_score, stratified_means
from fairtrial.stats.moments import means_z
from fairtrial.stats.ratio import linearised

RHO = 0.7


def arm(rng: np.random.Generator, shape: tuple[int, ...], mean: float, drift: float = 0.0) -> np.ndarray:
    """Values correlated by RHO with a covariate, which drifts over the strata and takes the value along."""
    level = drift * np.arange(shape[-2])[:, None]
    covariate = rng.standard_normal(shape)
    value = mean + RHO * covariate + np.sqrt(1 - RHO**2) * rng.standard_normal(shape) + level
    return joint_moments(value, 5 + covariate + level)


def test_the_slope_is_that_of_a_regression_with_an_intercept_for_every_arm_and_stratum() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 5, 8))
    y = 2 * x + rng.standard_normal(x.shape) + np.arange(5)[:, None]
    cells = np.eye(10).repeat(8, axis=0)
    expected = np.linalg.lstsq(np.column_stack([x.ravel(), cells]), y.ravel(), rcond=None)[0][0]
    assert float(slope(*(joint_moments(a, b) for a, b in zip(y, x, strict=True)))) == pytest.approx(expected)


@pytest.mark.parametrize(("relative", "margin"), [(False, 0.1), (True, 0.1), (True, -0.1)])
def test_level_and_gain(relative: bool, margin: float) -> None:
    """The variance falls by rho squared, at the level; the effect is the same."""
    rng = np.random.default_rng(2)
    runs, base = 3000, 2.0
    first = arm(rng, (runs, 20, 12), base)
    second = arm(rng, (runs, 20, 8), base * (1 + margin) if relative else base + margin)
    adjusted = adjusted_means(first, second)
    plain = stratified_means(*(columns(t)[i] for t in (first, second) for i in (0, 1, 3)))
    z = means_z(adjusted, margin=margin, relative=relative)
    for rejected in (z > 1.645, z < -1.645):
        assert abs(rejected.mean() - 0.05) < 0.012
    ratio = 1 + margin if relative else 1.0
    gain = np.var(adjusted.mean1 - ratio * adjusted.mean0) / np.var(plain.mean1 - ratio * plain.mean0)
    assert gain == pytest.approx(1 - RHO**2, rel=0.08)
    assert adjusted.variance(ratio).mean() / plain.variance(ratio).mean() == pytest.approx(gain, rel=0.08)
    assert (adjusted.mean1 - adjusted.mean0).mean() == pytest.approx(
        base * margin if relative else margin, abs=0.01
    )


def test_the_baseline_is_its_unadjusted_mean_and_the_effect_keeps_its_unit() -> None:
    rng = np.random.default_rng(3)
    first, second = arm(rng, (10, 20), 2.0), arm(rng, (10, 20), 2.5)
    effect = adjusted_effect(first, second, relative=True)
    plain = mean_effect(*(columns(t)[i] for t in (first, second) for i in (0, 1, 3)), relative=True)
    assert effect is not None
    assert plain is not None
    assert effect.baseline == pytest.approx(plain.baseline)
    assert effect.effect == pytest.approx(effect.candidate / plain.baseline - 1)
    assert effect.standard_error < 0.85 * plain.standard_error


def test_a_covariate_that_does_not_vary_changes_nothing() -> None:
    rng = np.random.default_rng(4)
    values = rng.exponential(1.0, (2, 30, 6))
    joint = [joint_moments(value, np.full_like(value, 1e6 / 3)) for value in values]
    plain = [column for value in values for column in columns(joint_moments(value))]
    a = adjusted_score(*joint, margin=0.1, relative=True, greater=True)
    b = mean_score(*plain, margin=0.1, relative=True, greater=True)
    assert a is not None
    assert b is not None
    assert a.z == pytest.approx(b.z)
    for relative in (False, True):
        c, d = (
            adjusted_contributions(*joint, relative=relative),
            mean_contributions(*plain, relative=relative),
        )
        assert c.scores == pytest.approx(d.scores)
        assert c.variances == pytest.approx(d.variances)


@pytest.mark.parametrize("relative", [False, True])
def test_the_interval_ends_where_the_score_reaches_the_critical_value(relative: bool) -> None:
    rng = np.random.default_rng(5)
    joint = arm(rng, (15, 10), 2.0), arm(rng, (15, 4), 2.1)
    low, high = adjusted_interval(*joint, relative=relative, critical=1.7, inflation=1.5) or (0.0, 0.0)
    for margin, z in ((low, 1.7), (high, -1.7)):
        score = adjusted_score(*joint, margin=margin, relative=relative, greater=True, inflation=1.5)
        assert score is not None
        assert score.z == pytest.approx(z, abs=1e-6)


def test_contributions_under_correlation_show_it_after_adjustment_as_well() -> None:
    rng = np.random.default_rng(6)
    shocks = rng.standard_normal((2, 200, 1))
    joint = []
    for shock in shocks:
        x = rng.standard_normal((200, 20))
        joint.append(joint_moments(x + shock + rng.standard_normal(x.shape), x))
    parts = adjusted_contributions(*joint)
    assert (parts.scores**2).sum() / parts.variances.sum() == pytest.approx(21, rel=0.25)


def test_ratios_of_users_gain_likewise() -> None:
    rng = np.random.default_rng(7)
    runs, shape = 1500, (1500, 15, 12)

    def by_user() -> np.ndarray:
        taste = rng.beta(2, 8, shape)
        views = 1 + rng.poisson(30, shape)
        before = 1 + rng.poisson(30, shape)
        return joint_moments(rng.binomial(views, taste), views, rng.binomial(before, taste) / before)

    tables = linearised(by_user(), by_user())
    adjusted = adjusted_means(*tables)
    plain = stratified_means(*(columns(t)[i] for t in tables for i in (0, 1, 3)))
    z = means_z(adjusted, margin=0.0, relative=True)
    assert runs == z.size
    assert abs((np.abs(z) > 1.96).mean() - 0.05) < 0.018
    assert np.var(adjusted.mean1 - adjusted.mean0) < 0.5 * np.var(plain.mean1 - plain.mean0)


def test_too_little_to_say() -> None:
    single = joint_moments(np.ones((4, 1)), np.ones((4, 1)))
    assert adjusted_score(single, single, margin=0.0, relative=False, greater=True) is None
    nobody = np.zeros((4, 6))
    assert adjusted_effect(single, nobody, relative=False) is None
    assert adjusted_interval(nobody, nobody, relative=True, critical=2.0) is None
