"""Serial correlation by batch means."""

from __future__ import annotations

import numpy as np
import pytest
from fairtrial.stats.batches import MINIMUM_BATCHES, batch_inflation, inflations


def autoregressive(rng: np.random.Generator, runs: int, batches: int, size: int, phi: float) -> np.ndarray:
    """[runs, batches] sums over batches of a unit-variance AR(1)."""
    sums = np.zeros((runs, batches))
    x = rng.standard_normal(runs)
    for batch in range(batches):
        for _ in range(size):
            x = phi * x + np.sqrt(1 - phi**2) * rng.standard_normal(runs)
            sums[:, batch] += x
    return sums - sums.mean(axis=1, keepdims=True)


def test_fewer_than_thirty_batches_say_nothing() -> None:
    rng = np.random.default_rng(1)
    scores, variances = rng.standard_normal(29), np.ones(29)
    assert batch_inflation(scores, variances) is None
    assert batch_inflation(np.r_[scores, 0.1], np.r_[variances, 1.0]) is not None


def test_batches_in_which_nothing_happened_say_nothing_either() -> None:
    rng = np.random.default_rng(1)
    quiet = np.zeros(100)
    for informative, known in ((9, False), (10, True)):
        scores, variances = rng.standard_normal(informative), np.ones(informative)
        found = batch_inflation(np.r_[scores, quiet], np.r_[variances, quiet])
        assert (found is not None) is known


@pytest.mark.parametrize(("batches", "cost"), [(30, 1.16), (200, 1.07)])
def test_independent_batches_cost_little(batches: int, cost: float) -> None:
    scores = np.random.default_rng(2).standard_normal((4000, batches))
    scores -= scores.mean(axis=1, keepdims=True)
    found = inflations(scores, np.ones_like(scores))
    assert found.min() == 1.0
    assert found.mean() < cost


@pytest.mark.parametrize(("phi", "truth"), [(0.5, 3.0), (0.9, 19.0)])
def test_autoregressive_arms_are_found_out(phi: float, truth: float) -> None:
    scores = autoregressive(np.random.default_rng(3), 500, 120, 100, phi)
    found = inflations(scores, np.full_like(scores, 100.0))
    assert found.mean() == pytest.approx(truth, rel=0.12)


def test_type_one_error_under_correlation_is_near_its_level() -> None:
    rng = np.random.default_rng(4)
    runs, batches, size = 4000, 60, 50
    sums = np.zeros((runs, batches))
    x = rng.standard_normal(runs)
    for batch in range(batches):
        for _ in range(size):
            x = 0.9 * x + np.sqrt(1 - 0.81) * rng.standard_normal(runs)
            sums[:, batch] += x
    variance = float(size)
    z = sums.sum(axis=1) / np.sqrt(batches * variance)
    factor = inflations(sums - sums.mean(axis=1, keepdims=True), np.full_like(sums, variance))
    assert (z > 1.645).mean() > 0.3  # naive
    assert (z / np.sqrt(factor) > 1.645).mean() < 0.065


def test_two_dimensions_agree_with_one() -> None:
    scores = np.random.default_rng(5).standard_normal((3, MINIMUM_BATCHES + 3)) * 2
    both = inflations(scores, np.ones_like(scores))
    assert [batch_inflation(row, np.ones(row.size)) for row in scores] == pytest.approx(both.tolist())
