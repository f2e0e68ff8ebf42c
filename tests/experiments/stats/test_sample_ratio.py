"""Sample ratio mismatch."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from fairtrial.stats.sample_ratio import chi_squared_p, dirichlet_e_value, dirichlet_log_e_values
from scipy.special import gammaln, xlogy


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.2, 0.3, 0.5)])
def test_its_expectation_under_the_intended_split_is_one(shares: tuple[float, ...]) -> None:
    n = 12
    total = 0.0
    for counts in itertools.product(range(n + 1), repeat=len(shares)):
        if sum(counts) == n:
            x = np.array(counts, dtype=float)
            log_p = gammaln(n + 1) - gammaln(x + 1).sum() + xlogy(x, shares).sum()
            total += math.exp(log_p + dirichlet_e_value(x, shares))
    assert total == pytest.approx(1.0, abs=1e-9)


def test_watching_after_every_unit_seldom_alarms_a_fair_split() -> None:
    rng = np.random.default_rng(1)
    ones = np.cumsum(rng.random((2000, 2000)) < 0.1, axis=1)
    n = np.arange(1, 2001)
    log_e = dirichlet_log_e_values(np.stack([n - ones, ones], axis=-1), [0.9, 0.1])
    assert (log_e.max(axis=1) >= math.log(20)).mean() <= 0.05


def test_a_broken_split_is_found() -> None:
    assert dirichlet_e_value([5300, 4700], [0.5, 0.5]) > math.log(1000)
    assert dirichlet_e_value([5030, 4970], [0.5, 0.5]) < 0


def test_segments_multiply_and_each_has_its_own_shares() -> None:
    counts, shares = [[900, 100], [480, 520]], [[0.9, 0.1], [0.5, 0.5]]
    parts = [dirichlet_e_value(c, s) for c, s in zip(counts, shares, strict=True)]
    assert dirichlet_e_value(counts, shares) == pytest.approx(sum(parts))
    assert dirichlet_log_e_values(counts, shares).tolist() == pytest.approx(parts)


def test_no_units_are_no_evidence_and_an_impossible_unit_is_proof() -> None:
    assert dirichlet_e_value([0, 0], [0.5, 0.5]) == 0.0
    assert dirichlet_e_value([100, 0], [1, 0]) == pytest.approx(0.0, abs=1e-9)
    assert dirichlet_e_value([100, 1], [1, 0]) == math.inf
    assert chi_squared_p([100, 1], [1, 0]) == 0.0


def test_chi_squared_is_pearsons() -> None:
    assert chi_squared_p([60, 40], [0.5, 0.5]) == pytest.approx(0.0455, abs=1e-4)  # chi2 = 4, 1 degree
    assert chi_squared_p([[60, 40], [60, 40]], [[0.5, 0.5]] * 2) == pytest.approx(math.exp(-4), rel=1e-9)
    assert chi_squared_p([0, 0], [0.5, 0.5]) == 1.0
    assert chi_squared_p([5, 0], [1, 0]) == 1.0


def test_senseless_input_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        dirichlet_e_value([-1, 2], [0.5, 0.5])
    with pytest.raises(ValueError, match="must be positive"):
        dirichlet_e_value([1, 2], [0, 0])
