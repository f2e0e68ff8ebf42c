"""Intervals that agree with their tests: a score inverted over the margin."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fairtrial.stats.score import FloatArray

_EDGE = 1e-9
_LARGEST_LOG_RATIO = math.log(1e6)
#: Each round divides both brackets into so many parts at once: a call costs much more than a point does.
_GRID = np.linspace(0.0, 1.0, 33)
_ROUNDS = 3


def invert(
    z: Callable[[FloatArray], FloatArray], *, estimate: float, critical: float, relative: bool
) -> tuple[float, float]:
    """(lower, upper): the margins at which z is `critical` and -critical.

    z: evidence that a proportion's effect is above each margin, decreasing; called with [2] and [2, 33] of
        them.
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
    below = above = np.zeros(2)
    target = np.array([critical, -critical])
    reached = np.array([1, -1]) * (z(scale(outside)) - target) >= 0
    for _ in range(_ROUNDS):
        grid = inside[:, None] + (outside - inside)[:, None] * _GRID
        height = np.array([[1], [-1]]) * (z(scale(grid)) - target[:, None])
        # the last point that is still inside, and the one after it
        last = np.clip((height < 0).cumprod(axis=-1).sum(axis=-1), 1, _GRID.size - 1)
        rows = np.arange(2)
        inside, outside = grid[rows, last - 1], grid[rows, last]
        below, above = height[rows, last - 1], height[rows, last]
    # z is smooth: within so little it is a straight line
    rise = above - below
    share = np.where(rise > 0, np.clip(-below / np.where(rise > 0, rise, 1.0), 0.0, 1.0), 0.5)
    lower, upper = scale(inside + share * (outside - inside))
    ends = (-1.0, math.inf) if relative else (-1.0, 1.0)
    return (float(lower) if reached[0] else ends[0], float(upper) if reached[1] else ends[1])
