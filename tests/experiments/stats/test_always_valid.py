"""Evidence without a horizon: the uncalibrated mixture and the exact e-processes."""

import math

import numpy as np
import pytest
from fairtrial.stats.always_valid import AlwaysValid
from fairtrial.stats.e_process import discordant_log_e, poisson_log_e, z_of_log_e
from fairtrial.stats.mixture import SequentialMixture
from scipy.special import logsumexp
from scipy.stats import binom, poisson


def test_it_never_crosses_more_often_than_stated_however_long_it_goes_on():
    rng = np.random.default_rng(3)
    boundary = AlwaysValid(0.05, 3.0)
    fractions = np.arange(1, 401) / 100  # four times the planned information
    steps = rng.standard_normal((4000, fractions.size)) * 0.1
    z = np.cumsum(steps, axis=-1) / np.sqrt(fractions)
    critical = boundary.criticals(fractions.tolist())
    assert 0.01 < np.mean(np.any(z >= critical, axis=-1)) < 0.05


def test_the_boundary_knows_nothing_of_earlier_looks():
    boundary = AlwaysValid(0.05, 3.0)
    assert boundary.critical([0.1, 0.2, 0.5]) == boundary.critical([0.5])
    assert boundary.critical([0.5]) == pytest.approx(float(boundary.criticals([0.5])[0]))


@pytest.mark.parametrize("drift", [2.0, 3.0, 4.5])
def test_at_no_look_is_it_below_the_boundary_that_knows_its_horizon(drift):
    """So that whatever metric it judges, it errs on fewer of the same runs."""
    fractions = [k / 200 for k in range(1, 201)]
    sequential = SequentialMixture(0.05, drift, 200)
    assert np.all(AlwaysValid(0.05, drift).criticals(fractions) >= sequential.planned_critical)


def test_a_p_value_is_at_most_alpha_exactly_where_the_boundary_was_crossed():
    boundary = AlwaysValid(0.05, 3.0)
    for z in (1.0, 2.0, 2.5, 3.0, 3.5):
        p = boundary.p_value([0.3, 0.6], [0.2, z])
        assert p is not None
        assert (p <= 0.05) == (z >= boundary.critical([0.6]))


def test_an_e_value_of_discordant_pairs_has_expectation_1_without_a_difference():
    n = 40
    k = np.arange(n + 1)
    log_e = discordant_log_e(n - k, k, greater=True)
    assert float(np.sum(binom.pmf(k, n, 0.5) * np.exp(log_e))) <= 1 + 1e-9
    # and grows where there is one
    assert float(np.sum(binom.pmf(k, n, 0.75) * log_e)) > 2


def test_discordant_pairs_hold_their_rate_at_every_look():
    rng = np.random.default_rng(4)
    ahead = np.cumsum(rng.integers(0, 2, (2000, 600)), axis=-1)
    total = np.arange(1, 601)
    log_e = discordant_log_e(total - ahead, ahead, greater=True)
    assert np.mean(np.any(log_e >= math.log(20), axis=-1)) <= 0.05


def test_directions_mirror_each_other():
    assert discordant_log_e(10, 30, greater=True) == pytest.approx(discordant_log_e(30, 10, greater=False))


def test_an_e_value_of_counts_has_expectation_at_most_1_at_the_margin():
    n0, n1, rate, margin = 100.0, 50.0, 0.1, 0.2
    x0, x1 = np.meshgrid(np.arange(60), np.arange(60), indexing="ij")
    weight = poisson.pmf(x0, n0 * rate) * poisson.pmf(x1, n1 * rate * (1 + margin))
    log_e = poisson_log_e(
        np.full(x0.shape, n0)[..., None],
        x0[..., None],
        np.full(x0.shape, n1)[..., None],
        x1[..., None],
        margin=margin,
        greater=True,
    )
    assert float(np.exp(logsumexp(log_e + np.log(weight)))) <= 1 + 1e-6


def test_a_log_e_value_is_drawn_as_the_z_that_crosses_with_it():
    boundary = AlwaysValid(0.05, 3.0)
    z = float(z_of_log_e(math.log(20), 0.4, 3.0))
    assert z == pytest.approx(boundary.critical([0.4]), abs=1e-6)
    assert float(z_of_log_e(math.log(30), 0.4, 3.0)) > z


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        discordant_log_e(-1, 3, greater=True)
    with pytest.raises(ValueError, match="above -1"):
        poisson_log_e(1, 1, 1, 1, margin=-1.0, greater=True)
