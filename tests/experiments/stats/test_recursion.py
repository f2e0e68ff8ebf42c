"""The Armitage-McPherson-Rowe recursion against published constants and an independent random walk."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fairtrial.stats.recursion import crossing_probabilities, crossing_probability

LOOKS = list(range(2, 11))
# Jennison and Turnbull (2000), tables 2.1 and 2.3: two-sided alpha 0.05, K = 2 to 10.
POCOCK = [2.178, 2.289, 2.361, 2.413, 2.453, 2.485, 2.512, 2.535, 2.555]
OBRIEN_FLEMING = [1.977, 2.004, 2.024, 2.040, 2.053, 2.063, 2.072, 2.080, 2.087]
# Armitage, McPherson and Rowe (1969), table 2: |z| > 1.96 at each of K looks.
NAIVE_PEEKING = {1: 0.05, 2: 0.083, 3: 0.107, 4: 0.126, 5: 0.142, 10: 0.193}


def even(looks: int) -> list[float]:
    return [k / looks for k in range(1, looks + 1)]


def solved(shape: list[float], looks: int) -> float:
    """The multiple of a boundary shape that is crossed with probability 0.025."""
    low, high = 1.0, 4.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        too_often = crossing_probability([middle * s for s in shape], even(looks)) > 0.025
        low, high = (middle, high) if too_often else (low, middle)
    return low


@pytest.mark.parametrize(("looks", "published"), list(zip(LOOKS, POCOCK, strict=True)))
def test_pococks_constants_are_reproduced(looks: int, published: float) -> None:
    assert solved([1.0] * looks, looks) == pytest.approx(published, abs=1.1e-3)


@pytest.mark.parametrize(("looks", "published"), list(zip(LOOKS, OBRIEN_FLEMING, strict=True)))
def test_obrien_flemings_constants_are_reproduced(looks: int, published: float) -> None:
    shape = [math.sqrt(looks / k) for k in range(1, looks + 1)]
    assert solved(shape, looks) == pytest.approx(published, abs=1.1e-3)


@pytest.mark.parametrize(("looks", "published"), list(NAIVE_PEEKING.items()))
def test_naive_peeking_inflates_as_published(looks: int, published: float) -> None:
    # two one-sided crossings; that both happen is rarer than the rounding for so few looks
    assert 2 * crossing_probability([1.96] * looks, even(looks)) == pytest.approx(published, abs=1.5e-3)


def test_irregular_looks_and_drift_agree_with_a_random_walk() -> None:
    fractions = np.array([0.05, 0.07, 0.3, 0.31, 0.8, 1.0])
    zs = np.array([2.8, math.inf, 2.4, 2.5, 2.2, 2.0])
    rng = np.random.default_rng(1)
    drift, runs = 2.0, 200_000
    steps = np.diff(fractions, prepend=0.0)
    walk = np.cumsum(drift * steps + np.sqrt(steps) * rng.standard_normal((runs, steps.size)), axis=1)
    crossed = walk >= zs * np.sqrt(fractions)
    first = np.where(crossed.any(axis=1), crossed.argmax(axis=1), -1)
    expected = crossing_probabilities(zs.tolist(), fractions.tolist(), drift)
    seen = np.array([(first == k).mean() for k in range(fractions.size)])
    assert expected[1] == 0.0
    assert seen == pytest.approx(expected, abs=4 * math.sqrt(0.25 / runs))


def test_looks_that_do_not_increase_are_refused() -> None:
    with pytest.raises(ValueError, match="must increase"):
        crossing_probability([2.0, 2.0], [0.5, 0.5])
