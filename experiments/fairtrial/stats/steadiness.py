"""Whether a machine is as fast as it was: levels of a timing that is repeated all the while.

Timings are positive, follow one another in time, and are alike where they are close (a neighbour that comes
and goes). So a level is judged as by batch means, on the scale of logarithms: by the medians of ten blocks
in a row, which are nearly independent of each other and heed no single stall.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

_BLOCKS = 10
#: Fewer tell nothing: two a block.
LEAST_TIMINGS = 2 * _BLOCKS


@dataclass(frozen=True)
class LevelRatio:
    """The level of one series over that of another, with an interval, each of whose ends is one-sided."""

    ratio: float
    low: float
    high: float


def level_ratio(before: Sequence[float], now: Sequence[float], confidence: float) -> LevelRatio:
    """Of two series of positive timings, in order of time. Raises ValueError below `LEAST_TIMINGS`."""
    first, second = _block_levels(before), _block_levels(now)
    variances = [float(np.var(blocks, ddof=1)) / _BLOCKS for blocks in (first, second)]
    variance = sum(variances)
    difference = float(second.mean() - first.mean())
    if variance == 0:
        return LevelRatio(*(math.exp(difference),) * 3)
    # Welch and Satterthwaite.
    freedom = variance**2 / sum(each**2 / (_BLOCKS - 1) for each in variances)
    reach = float(stdtrit(freedom, confidence)) * math.sqrt(variance)
    return LevelRatio(math.exp(difference), math.exp(difference - reach), math.exp(difference + reach))


def drift(timings: Sequence[float]) -> float:
    """The level of the later half over that of the earlier one."""
    blocks = _block_levels(timings)
    half = _BLOCKS // 2
    return math.exp(float(blocks[half:].mean() - blocks[:half].mean()))


def _block_levels(timings: Sequence[float]) -> npt.NDArray[np.float64]:
    values = np.asarray(timings, np.float64)
    if values.size < LEAST_TIMINGS or not (values > 0).all():
        raise ValueError(f"a level takes at least {LEAST_TIMINGS} positive timings")
    return np.array([float(np.median(block)) for block in np.array_split(np.log(values), _BLOCKS)])
