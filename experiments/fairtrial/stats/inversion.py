"""Intervals that agree with their tests: a score inverted over the margin."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fairtrial.stats.score import FloatArray

_EDGE = 1e-9
_LARGEST_LOG_RATIO = math.log(1e6)


def invert(
    z: Callable[[FloatArray], FloatArray], *, estimate: float, critical: float, relative: bool
) -> tuple[float, float]:
    """(lower, upper): the margins at which z is `critical` and -critical.

    z: evidence that a proportion's effect is above each margin, decreasing; called with [2] margins.
    estimate: the effect, where z is 0.
    A difference of proportions is sought within (-1, 1), a ratio minus 1 within (-1, 1e6); where z does not
    reach the critical value the bound is the end of that range, for a ratio -1 and inf.
    """
    if math.isinf(critical):
        return (-1.0, math.inf) if relative else (-1.0, 1.0)
    scale = np.expm1 if relative else np.asarray
    limit = _LARGEST_LOG_RATIO if relative else 1 - _EDGE
    middle = math.log1p(max(estimate, -1 + _EDGE)) if relative else estimate
    middle = min(max(middle, -limit), limit)
    inside = np.array([middle, middle])
    outside = np.array([-limit, limit])
    target = np.array([critical, -critical])
    reached = np.array([1, -1]) * (z(scale(outside)) - target) >= 0
    for _ in range(60):
        halfway = (inside + outside) / 2
        beyond = np.array([1, -1]) * (z(scale(halfway)) - target) >= 0
        outside, inside = np.where(beyond, halfway, outside), np.where(beyond, inside, halfway)
        if np.max(np.abs(outside - inside)) < 1e-8:
            break
    lower, upper = scale((inside + outside) / 2)
    ends = (-1.0, math.inf) if relative else (-1.0, 1.0)
    return (float(lower) if reached[0] else ends[0], float(upper) if reached[1] else ends[1])
