"""Ratios of sums by the delta method."""

from __future__ import annotations

import numpy as np
import pytest
from experiments.stats.joint_moments import columns, joint_moments
from fairtrial.stats.mean import mean_effect, mean_interval, mean_score, stratified_means
from fairtrial.stats.ratio import linearised


def users(rng: np.random.Generator, shape: tuple[int, ...], rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Events and requests of users, each with a rate of his own."""
    requests = 1 + rng.poisson(6, shape)
    return rng.binomial(requests, rng.beta(4 * rate, 4 * (1 - rate), shape)), requests


def test_in_one_stratum_it_is_the_formula_of_deng_knoblich_and_lu() -> None:
    rng = np.random.default_rng(1)
    data = [users(rng, (1, 80), 0.2), users(rng, (1, 50), 0.3)]
    first, second = linearised(*(joint_moments(*arm) for arm in data))
    m = stratified_means(*columns(first), *columns(second))
    for (x, y), mean, variance in zip(data, (m.mean0, m.mean1), (m.variance0, m.variance1), strict=True):
        ratio, n = x.sum() / y.sum(), x.size
        spread = np.cov(x[0], y[0])
        expected = (spread[0, 0] - 2 * ratio * spread[0, 1] + ratio**2 * spread[1, 1]) / (n * y.mean() ** 2)
        assert float(mean) == pytest.approx(ratio)
        assert float(variance) == pytest.approx(expected)


def test_with_one_request_a_unit_it_is_the_mean() -> None:
    rng = np.random.default_rng(2)
    values = rng.exponential(1.0, (2, 12, 9))
    ratios = linearised(*(joint_moments(arm, np.ones_like(arm)) for arm in values))
    means = [joint_moments(arm) for arm in values]
    for relative in (False, True):
        a, b = (
            mean_score(*columns(x), *columns(y), margin=0.1, relative=relative, greater=True)
            for x, y in (ratios, means)
        )
        assert a is not None
        assert b is not None
        assert a.z == pytest.approx(b.z)
        assert a.information == pytest.approx(b.information)


@pytest.mark.parametrize("relative", [False, True])
def test_the_interval_ends_where_the_score_reaches_the_critical_value(relative: bool) -> None:
    rng = np.random.default_rng(3)
    first, second = linearised(
        *(joint_moments(*users(rng, (10, size), rate)) for size, rate in ((30, 0.2), (12, 0.25)))
    )
    data = [*columns(first), *columns(second)]
    low, high = mean_interval(*data, relative=relative, critical=1.7) or (np.nan, np.nan)
    for margin, z in ((low, 1.7), (high, -1.7)):
        score = mean_score(*data, margin=margin, relative=relative, greater=True)
        assert score is not None
        assert score.z == pytest.approx(z, abs=1e-6)


def test_the_unit_of_a_column_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    arms = [users(rng, (6, 20), rate) for rate in (0.2, 0.3)]
    plain = linearised(*(joint_moments(*arm) for arm in arms))
    scaled = linearised(*(joint_moments(1000 * x, 10 * y) for x, y in arms))
    for a, b in zip(plain, scaled, strict=True):
        assert b[..., 1] == pytest.approx(100 * a[..., 1])
        assert b[..., 2] == pytest.approx(1e4 * a[..., 2])


def test_many_tiny_strata_do_not_bias_a_ratio() -> None:
    """Within a stratum of two users a ratio is biased: averaged over strata it would miss the truth."""
    rng = np.random.default_rng(5)
    views = rng.geometric(0.15, (2, 6000, 2))
    clicks = 1 + rng.binomial(views, 0.1)  # many views, fewer clicks a view
    first, second = linearised(*(joint_moments(x, y) for x, y in zip(clicks, views, strict=True)))
    effect = mean_effect(*columns(first), *columns(second), relative=False)
    truth = 0.1 + 0.15
    naive = (clicks[0].sum(axis=-1) / views[0].sum(axis=-1)).mean()
    assert effect is not None
    assert effect.baseline == pytest.approx(truth, abs=0.006)
    assert naive > truth + 0.04


def test_without_a_denominator_there_is_no_ratio() -> None:
    nothing = joint_moments(np.ones((3, 5)), np.zeros((3, 5)))
    something = joint_moments(np.ones((3, 5)), np.ones((3, 5)))
    first, second = linearised(something, nothing)
    assert mean_effect(*columns(first), *columns(second), relative=False) is None
    empty = linearised(np.zeros((0, 6)), np.zeros((0, 6)))
    assert empty[0].shape == (0, 3)


def test_a_covariate_is_carried_along() -> None:
    rng = np.random.default_rng(6)
    x, y = users(rng, (4, 30), 0.2)
    before = x + rng.standard_normal(x.shape)
    arm = joint_moments(x, y, before)
    first, second = linearised(arm, arm)
    weights = arm[:, 0] / arm[:, 0].sum()
    ratio = (weights * arm[:, 1]).sum() / (weights * arm[:, 2]).sum()
    value = ratio + (x - ratio * y) / (weights * arm[:, 2]).sum()
    assert first == pytest.approx(joint_moments(value, before))
    assert second == pytest.approx(first)
