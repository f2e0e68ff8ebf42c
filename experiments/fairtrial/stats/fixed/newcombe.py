"""Newcombe's hybrid score intervals for a difference of two proportions.

Wilson's interval of each proportion, joined by squaring and adding (Newcombe, 1998, Statistics in Medicine
17: 873-890 for independent, 2635-2650 for paired proportions; method 10 of both). Never outside [-1, 1],
and sensible without any events.
"""

from __future__ import annotations

import math

from fairtrial.stats.fixed.result import normal_quantile


def wilson_interval(x: float, n: float, *, level: float) -> tuple[float, float]:
    """Wilson's (1927) score interval of a proportion; (0, 1) without observations."""
    if not 0 <= x <= n:
        raise ValueError(f"{x:g} events among {n:g} observations are impossible")
    if n == 0:
        return (0.0, 1.0)
    z2 = normal_quantile(level) ** 2
    middle = (x + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * (x * (1 - x / n) + z2 / 4)) / (n + z2)
    return (max(0.0, middle - half) if x else 0.0, min(1.0, middle + half) if x < n else 1.0)


def newcombe_interval(n0: float, x0: float, n1: float, x1: float, *, level: float) -> tuple[float, float]:
    """Interval of candidate - baseline, from x events of n independent observations of each.

    Raises ValueError for impossible counts, or a level outside (0, 1).
    """
    return _square_and_add((n0, x0), (n1, x1), 0.0, level)


def newcombe_paired_interval(
    n11: float, n10: float, n01: float, n00: float, *, level: float
) -> tuple[float, float]:
    """Interval of candidate - baseline from pairs: n10 have the event in the baseline only.

    The two proportions' correlation is continuity corrected where it is positive. Raises ValueError for
    negative counts, or a level outside (0, 1).
    """
    if min(n11, n10, n01, n00) < 0:
        raise ValueError("counts of pairs must not be negative")
    n = n11 + n10 + n01 + n00
    margins = (n11 + n10) * (n01 + n00) * (n11 + n01) * (n10 + n00)
    determinant = n11 * n00 - n10 * n01
    if determinant > 0:
        determinant = max(determinant - n / 2, 0.0)
    correlation = determinant / math.sqrt(margins) if margins > 0 else 0.0
    return _square_and_add((n, n11 + n10), (n, n11 + n01), correlation, level)


def _square_and_add(
    baseline: tuple[float, float], candidate: tuple[float, float], correlation: float, level: float
) -> tuple[float, float]:
    (n0, x0), (n1, x1) = baseline, candidate
    low0, high0 = wilson_interval(x0, n0, level=level)
    low1, high1 = wilson_interval(x1, n1, level=level)
    if n0 == 0 or n1 == 0:
        return (-1.0, 1.0)
    p0, p1 = x0 / n0, x1 / n1

    def reach(first: float, second: float) -> float:
        return math.sqrt(max(first**2 - 2 * correlation * first * second + second**2, 0.0))

    difference = p1 - p0
    lower = difference - reach(p1 - low1, high0 - p0)
    upper = difference + reach(high1 - p1, p0 - low0)
    return (max(lower, -1.0), min(upper, 1.0))
