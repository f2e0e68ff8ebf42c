"""Welch's (1947) t test of two means with unequal variances, with a margin.

A relative margin is judged by the contrast candidate - (1 + margin) baseline, and its interval is Fieller's
(1954), with Satterthwaite's degrees of freedom at each of its ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

from fairtrial.stats.fixed.result import FixedTest, tail


@dataclass(frozen=True)
class Sample:
    """n values with this mean, and `m2` the sum of squares about it."""

    n: float
    mean: float
    m2: float

    @property
    def variance(self) -> float:
        """Of the mean."""
        return self.m2 / (self.n - 1) / self.n


def welch(
    baseline: Sample,
    candidate: Sample,
    *,
    margin: float,
    relative: bool,
    greater: bool,
    level: float = 0.95,
) -> FixedTest:
    """The claim "effect > margin" (`greater`), or "< margin".

    margin: of candidate - baseline, or of the ratio minus 1 when `relative` (the baseline's mean is taken to
    be positive); signed. No interval, and p = 1, with fewer than 2 values in an arm; values that never vary
    give p 0, 0.5 or 1. A ratio's interval is open where the baseline's mean is not clearly away from 0.
    Raises ValueError for a level outside (0, 1).
    """
    outside = tail(level)
    if baseline.n < 2 or candidate.n < 2:
        return FixedTest("Welch t", 1.0)
    ratio = 1 + margin if relative else 1.0
    gap = candidate.mean - ratio * baseline.mean - (0.0 if relative else margin)
    variance = candidate.variance + ratio**2 * baseline.variance
    # a spread far below the rounding of the means is none
    rounding = 1e-12 * (abs(candidate.mean) + abs(ratio * baseline.mean))
    if variance <= rounding**2:
        gap = 0.0 if abs(gap) <= rounding else gap
        p = 0.5 * (1 - math.copysign(1.0, gap if greater else -gap)) if gap else 0.5
    else:
        t = gap / math.sqrt(variance)
        p = float(stdtr(_freedom(baseline, candidate, ratio), -t if greater else t))
    return FixedTest("Welch t", p, _interval(baseline, candidate, outside, relative=relative))


def _freedom(baseline: Sample, candidate: Sample, ratio: float) -> float:
    """Satterthwaite's degrees of freedom of candidate - ratio baseline."""
    first, second = candidate.variance, ratio**2 * baseline.variance
    square = first**2 / (candidate.n - 1) + second**2 / (baseline.n - 1)
    return (first + second) ** 2 / square if square > 0 else candidate.n + baseline.n - 2


def _interval(
    baseline: Sample, candidate: Sample, outside: float, *, relative: bool
) -> tuple[float, float] | None:
    if not relative:
        half = -float(stdtrit(_freedom(baseline, candidate, 1.0), outside)) * math.sqrt(
            baseline.variance + candidate.variance
        )
        difference = candidate.mean - baseline.mean
        return (difference - half, difference + half)
    if baseline.mean <= 0:
        return None
    lower = _fieller(baseline, candidate, outside, sign=-1)
    upper = _fieller(baseline, candidate, outside, sign=1)
    return (-math.inf if lower is None else lower, math.inf if upper is None else upper)


def _fieller(baseline: Sample, candidate: Sample, outside: float, *, sign: int) -> float | None:
    """One end of the ratio's interval, minus 1; None if it is open. Its degrees of freedom are iterated."""
    ratio = candidate.mean / baseline.mean
    for _ in range(20):
        t2 = float(stdtrit(_freedom(baseline, candidate, ratio), outside)) ** 2
        a = baseline.mean**2 - t2 * baseline.variance
        b = baseline.mean * candidate.mean
        c = candidate.mean**2 - t2 * candidate.variance
        if a <= 0 or b * b - a * c < 0:
            return None
        previous, ratio = ratio, (b + sign * math.sqrt(b * b - a * c)) / a
        if abs(ratio - previous) <= 1e-13 * abs(ratio):
            break
    return ratio - 1
