"""The chance of each arm to be the best."""

import numpy as np
import pytest
from fairtrial.stats.best_arm import probability_best
from scipy.special import ndtr


def test_of_two_arms_it_is_the_normal_tail():
    best = probability_best(np.array([0.02]), np.array([0.01]))
    assert best == pytest.approx([ndtr(-2.0), ndtr(2.0)], abs=1e-12)


@pytest.mark.parametrize("gains", [[0.0, 0.0, 0.0], [1.0, 1.2, -3.0], [-2.0, -2.0, -5.0], [8.0, 9.0, 40.0]])
def test_it_agrees_with_draws_from_the_posterior(gains: list[float]):
    errors = np.array([1.0, 0.5, 2.0])
    draws = np.random.default_rng(1).normal(gains, errors, size=(400_000, 3))
    arms = np.column_stack([np.zeros(draws.shape[0]), draws])
    drawn = np.bincount(arms.argmax(axis=1), minlength=4) / draws.shape[0]
    best = probability_best(np.array(gains), errors)
    assert best.sum() == pytest.approx(1)
    assert best == pytest.approx(drawn, abs=0.004)
