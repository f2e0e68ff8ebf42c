"""Crossing probabilities of a symmetric two-sided boundary, and the classical constants.

The sub-density of S = Z sqrt(t) between -b and b is carried from look to look on Gauss-Legendre nodes
(Armitage, McPherson and Rowe, 1969; Jennison and Turnbull, 2000, chapter 19). Verdicts rest on one-sided
claims (`recursion`); this is for what the literature tabulates: two-sided designs, and the inflation by
looking again and again at a test that was made for one look.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from fairtrial.stats.recursion import crossing_probability
from fairtrial.stats.score import FloatArray

_NODES_PER_DEVIATION = 6
_FEWEST_NODES = 32


def two_sided_crossing_probabilities(
    zs: Sequence[float], fractions: Sequence[float], drift: float = 0.0
) -> FloatArray:
    """[K] probability that |Z| first reaches its critical value at each look.

    zs: [K] positive critical values; inf at a look that can reject nothing. fractions: [K] increasing,
    positive. drift: E[Z] at t = 1.
    Raises ValueError if the fractions do not increase, a critical value is not positive, or lengths differ.
    """
    first = np.zeros(len(zs))
    points, masses, before = np.zeros(1), np.ones(1), 0.0
    for k, (fraction, z) in enumerate(zip(fractions, zs, strict=True)):
        if fraction <= (fractions[k - 1] if k else 0.0):
            raise ValueError("information fractions must increase")
        if not z > 0:
            raise ValueError(f"a two-sided critical value must be positive, got {z}")
        if math.isinf(z):
            continue
        increment = fraction - before
        sd, bound = math.sqrt(increment), z * math.sqrt(fraction)
        moved = points + drift * increment
        first[k] = masses @ (ndtr((moved - bound) / sd) + ndtr((-bound - moved) / sd))
        count = max(_FEWEST_NODES, math.ceil(_NODES_PER_DEVIATION * bound / sd))
        nodes, weights = np.polynomial.legendre.leggauss(count)
        after = bound * nodes
        density = np.exp(-0.5 * ((after[:, None] - moved) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))
        points, masses, before = after, bound * weights * (density @ masses), fraction
    return first


def peeking_rate(alpha: float, looks: int) -> float:
    """Probability that a two-sided test at level alpha, made at equally spaced looks, ever rejects.

    Armitage, McPherson and Rowe (1969), table 2: for 5%, 8.3% at 2 looks and 19.3% at 10.
    Raises ValueError unless 0 < alpha < 1 and there is a look.
    """
    _check(alpha, looks)
    critical = -float(ndtri(alpha / 2))
    return float(two_sided_crossing_probabilities([critical] * looks, _even(looks)).sum())


def pocock_constant(alpha: float, looks: int, *, two_sided: bool = True) -> float:
    """The critical value that, the same at equally spaced looks, is reached with probability alpha.

    Pocock (1977); Jennison and Turnbull (2000), table 2.1 (C_P).
    Raises ValueError unless 0 < alpha < 1 (below 0.5 where one-sided) and there is a look.
    """
    return _multiple([1.0] * looks, alpha, looks, two_sided=two_sided)


def obrien_fleming_constant(alpha: float, looks: int, *, two_sided: bool = True) -> float:
    """The last critical value of O'Brien and Fleming's (1979) design; at look k, sqrt(looks / k) times it.

    Jennison and Turnbull (2000), table 2.3 (C_B). Raises ValueError as `pocock_constant`.
    """
    shape = [math.sqrt(looks / k) for k in range(1, looks + 1)]
    return _multiple(shape, alpha, looks, two_sided=two_sided)


def _multiple(shape: list[float], alpha: float, looks: int, *, two_sided: bool) -> float:
    _check(alpha, looks)
    if not two_sided and alpha >= 0.5:
        raise ValueError(f"a one-sided alpha must be below 0.5, got {alpha}")
    fractions = _even(looks)

    def crossing(multiple: float) -> float:
        zs = [multiple * s for s in shape]
        if two_sided:
            return float(two_sided_crossing_probabilities(zs, fractions).sum())
        return crossing_probability(zs, fractions)

    # Bonferroni's value is never crossed too often, the fixed one never too rarely
    tail = alpha / 2 if two_sided else alpha
    return _solve(crossing, alpha, low=-float(ndtri(tail)), high=-float(ndtri(tail / looks)))


def _solve(crossing: Callable[[float], float], alpha: float, *, low: float, high: float) -> float:
    """Where a decreasing probability is alpha, between `low` and `high`."""
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if crossing(middle) > alpha else (low, middle)
    return (low + high) / 2


def _even(looks: int) -> list[float]:
    return [k / looks for k in range(1, looks + 1)]


def _check(alpha: float, looks: int) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    if looks < 1:
        raise ValueError(f"there must be at least one look, got {looks}")
