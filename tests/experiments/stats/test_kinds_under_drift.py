"""Weights that go from 10 to 50% while the base drifts, and values with heavy tails: A/A, one look."""

from __future__ import annotations

import numpy as np
import pytest
from experiments.stats.joint_moments import columns, joint_moments
from fairtrial.stats.adjusted import adjusted_means
from fairtrial.stats.binary import table_z
from fairtrial.stats.clustered import clustered_table
from fairtrial.stats.counts import Counts, count_z
from fairtrial.stats.mean import stratified_means
from fairtrial.stats.moments import means_z
from fairtrial.stats.ratio import linearised

RUNS, STRATA, UNITS = 2500, 30, 24
LEVEL = np.linspace(0.05, 0.1, STRATA)
#: Units of the candidate in each stratum: of 24, first 10% or so, then a half.
CANDIDATE = np.where(np.arange(STRATA) < STRATA // 2, 2, 12)


def split(*variables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[RUNS, STRATA, .] moments of baseline and candidate, of variables [RUNS, STRATA, UNITS]."""

    def arm(of: slice, stratum: int) -> np.ndarray:
        return joint_moments(*(variable[:, stratum, of] for variable in variables))

    first = [arm(slice(CANDIDATE[s], None), s) for s in range(STRATA)]
    second = [arm(slice(0, CANDIDATE[s]), s) for s in range(STRATA)]
    return np.stack(first, axis=1), np.stack(second, axis=1)


def users(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Events and requests of users, some of whom see five times as many errors as others."""
    requests = 1 + rng.poisson(5, (RUNS, STRATA, UNITS))
    rate = LEVEL[:, None] * rng.choice([1 / 3, 5 / 3], requests.shape)
    return rng.binomial(requests, rate), requests


def near_five_percent(z: np.ndarray) -> bool:
    """Both one-sided claims, at 5%: within three standard errors and a little."""
    return bool(all(abs(rate - 0.05) < 0.016 for rate in ((z > 1.645).mean(), (z < -1.645).mean())))


@pytest.mark.parametrize("relative", [False, True])
def test_ratios_and_proportions_by_user(relative: bool) -> None:
    events, requests = users(np.random.default_rng(1))
    first, second = split(events, requests)
    z = means_z(
        stratified_means(*(c for arm in linearised(first, second) for c in columns(arm))),
        margin=0.0,
        relative=relative,
    )
    assert near_five_percent(z)
    assert near_five_percent(table_z(clustered_table(first, second), margin=0.0, relative=relative))
    sums = [(arm[..., :1] * arm[..., 1:3]).sum(axis=1) for arm in (first, second)]
    rates = [part[:, 0] / part[:, 1] for part in sums]
    errors = [rate / part[:, 1] for rate, part in zip(rates, sums, strict=True)]
    pooled = (rates[1] - rates[0]) / np.sqrt(errors[0] + errors[1])
    assert (pooled > 1.645).mean() > 0.25  # why strata


@pytest.mark.parametrize("relative", [False, True])
def test_counts(relative: bool) -> None:
    rng = np.random.default_rng(2)
    n1 = np.broadcast_to(CANDIDATE * 10, (RUNS, STRATA))
    n0 = UNITS * 10 - n1
    x0, x1 = rng.poisson(n0 * LEVEL), rng.poisson(n1 * LEVEL)
    c = Counts.of(n0, x0, n1, x1)
    assert near_five_percent(count_z(c, margin=np.zeros(RUNS), relative=relative))


def test_adjusted_means() -> None:
    rng = np.random.default_rng(3)
    before = rng.standard_normal((RUNS, STRATA, UNITS)) + 20 * LEVEL[:, None]
    value = 0.7 * before + 0.7 * rng.standard_normal(before.shape) + 40 * LEVEL[:, None]
    first, second = split(value, before)
    assert near_five_percent(means_z(adjusted_means(first, second), margin=0.0, relative=False))


def test_many_requests_a_user_taken_for_independent_ones_err_a_lot() -> None:
    """Users of 20 requests on average who differ in taste: request by request the z errs 25% of the time."""
    rng = np.random.default_rng(4)
    shape = (RUNS, 10, 20)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        requests = rng.geometric(1 / 20, shape)
        return rng.binomial(requests, rng.beta(1, 4, shape)), requests

    arms = [draw(), draw()]
    tables = [joint_moments(*arm) for arm in arms]
    m = stratified_means(*(c for arm in linearised(*tables) for c in columns(arm)))
    assert near_five_percent(means_z(m, margin=0.0, relative=False))
    assert near_five_percent(table_z(clustered_table(*tables), margin=0.0, relative=False))
    (x0, n0), (x1, n1) = ((x.sum(axis=(1, 2)), n.sum(axis=(1, 2))) for x, n in arms)
    p0, p1 = x0 / n0, x1 / n1
    naive = (p1 - p0) / np.sqrt(p0 * (1 - p0) / n0 + p1 * (1 - p1) / n1)
    assert (naive > 1.645).mean() > 0.2


def test_a_cap_tames_rewards_with_heavy_tails() -> None:
    """Pareto rewards without a variance (shape 1.5): with a cap the level holds, and power is regained."""
    rng = np.random.default_rng(5)
    cap = 0.01 ** (-1 / 1.5)  # one in a hundred is larger
    rewards = [1 + rng.pareto(1.5, (1000, 20, 50)) for _ in range(2)]

    def z(change: float, largest: float) -> np.ndarray:
        arms = [rewards[0], rewards[1] * (1 + change)]
        tables = [joint_moments(np.minimum(arm, largest)) for arm in arms]
        return means_z(stratified_means(*(c for t in tables for c in columns(t))), margin=0.0, relative=True)

    assert abs((z(0.0, cap) > 1.645).mean() - 0.05) < 0.02
    assert (z(0.2, cap) > 1.645).mean() > (z(0.2, np.inf) > 1.645).mean() + 0.3
