"""How a rate is spent over looks that come as they come: boundaries by Lan and DeMets' (1983) method.

A spending function says what may have been used up by an information fraction. At each look the recursion
(`recursion`) finds the critical value whose crossing probability is what that look adds; so neither the
number of looks nor their times need be known beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from scipy.special import ndtr, ndtri

from fairtrial.stats.recursion import SubDensity

NEGLIGIBLE = 1e-11
"""Probability below which a look is not worth a boundary."""

_DISBELIEF = 4.0


class SpendingFunction(Protocol):
    """A rate spent by an information fraction: 0 at 0, `alpha` at 1, increasing in both."""

    def __call__(self, alpha: float, fraction: float, /) -> float: ...


def obrien_fleming_spending(alpha: float, fraction: float) -> float:
    """2 (1 - Phi(z / sqrt(fraction))) with z the normal quantile of 1 - alpha / 2 (Lan and DeMets, 1983).

    Next to nothing is spent early, and the last critical value is close to that of a test made once.
    """
    if fraction <= 0:
        return 0.0
    return min(alpha, 2 * float(ndtr(ndtri(alpha / 2) / math.sqrt(min(fraction, 1.0)))))


def pocock_spending(alpha: float, fraction: float) -> float:
    """alpha ln(1 + (e - 1) fraction): critical values nearly the same at all looks (Lan and DeMets, 1983)."""
    return alpha * math.log1p((math.e - 1) * min(max(fraction, 0.0), 1.0))


@dataclass(frozen=True)
class Analysis:
    """A look at which something may be rejected: a test.

    time: on the scale of the statistic's variance, 1 where all information is in. spent: the rate that may
    have been used up after it.
    """

    time: float
    spent: float


def variance_times(fractions: Sequence[float], variances: Sequence[float] | None) -> list[float]:
    """When the looks are, on the scale of the statistic's variance; the first one's fraction sets its unit.

    An early variance is noisy: a scale that it puts four times off the fractions is not believed.
    Raises ValueError if the lengths differ.
    """
    times = [float(t) for t in fractions]
    if variances is None or not times or variances[0] <= 0:
        return times
    unit = times[0] / variances[0]
    return [min(max(v * unit, t / _DISBELIEF), t * _DISBELIEF) for t, v in zip(times, variances, strict=True)]


def spending_critical(tests: tuple[Analysis, ...], step: float) -> float:
    """Critical z at the last of these tests; `inf` where next to nothing is left to spend at it.

    step: spacing of the recursion's grid, at most a quarter of the root of the shortest time between tests.
    What one test did not spend is left for the next. The prefixes of `tests` are remembered, so that
    asking after every test costs one step of the recursion.
    Raises ValueError if times do not increase, or there is no test.
    """
    if not tests:
        raise ValueError("there has been no test yet")
    critical = math.inf
    for k in range(1, len(tests) + 1):
        critical = _after(tests[:k], step).critical
    return critical


@dataclass(frozen=True)
class _State:
    density: SubDensity
    spent: float
    critical: float


@lru_cache(maxsize=512)
def _after(tests: tuple[Analysis, ...], step: float) -> _State:
    """After these tests; the ones before the last are found in the cache, so that the depth is 2."""
    if not tests:
        return _State(SubDensity.start(step), 0.0, math.inf)
    before, test = _after(tests[:-1], step), tests[-1]
    if test.time <= before.density.fraction:
        raise ValueError("times of tests must increase")
    target = test.spent - before.spent
    if target < NEGLIGIBLE:
        return _State(before.density, before.spent, math.inf)
    boundary = before.density.solve(test.time, target)
    return _State(before.density.after(test.time, boundary), test.spent, boundary / math.sqrt(test.time))
