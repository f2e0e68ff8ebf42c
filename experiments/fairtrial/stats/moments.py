"""A contrast of two means, and what follows from it: z, estimate and interval.

Both kinds of mean test, unpaired and paired, come down to two estimated means with a covariance. A
relative margin is judged by the linear contrast candidate - (1 + margin) baseline, never by dividing: a ratio of
means is skewed where the contrast is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fairtrial.stats.score import Effect, FloatArray, Score

LARGEST_Z = 38.0
"""Beyond it a normal tail is not representable; also the z of a gap between values that never vary."""


@dataclass(frozen=True)
class Means:
    """Estimated means, the variances and covariance of the estimates, and the information behind them;
    arrays over any leading axes.
    """

    mean0: FloatArray
    mean1: FloatArray
    variance0: FloatArray
    variance1: FloatArray
    covariance: FloatArray
    information: FloatArray

    def inflated(self, factor: float) -> Means:
        """With variances multiplied by the inflation of serial correlation."""
        return Means(
            self.mean0,
            self.mean1,
            self.variance0 * factor,
            self.variance1 * factor,
            self.covariance * factor,
            self.information,
        )


def means_z(m: Means, *, margin: npt.ArrayLike, relative: bool) -> FloatArray:
    """Standardised contrast, positive where the effect is above the margin; never NaN or infinite."""
    value = np.asarray(margin, dtype=np.float64)
    ratio = 1 + value if relative else np.ones_like(value)
    gap = m.mean1 - ratio * m.mean0 - (0.0 if relative else value)
    variance = m.variance1 - 2 * ratio * m.covariance + ratio**2 * m.variance0
    # a spread far below rounding of the means is none
    floor = (1e-12 * (np.abs(m.mean1) + np.abs(ratio * m.mean0))) ** 2
    gap = np.where(gap**2 <= floor, 0.0, gap)
    spread = np.sqrt(np.where(variance > floor, variance, 1.0))
    z = np.where(variance > floor, gap / spread, np.sign(gap) * LARGEST_Z)
    return np.clip(z, -LARGEST_Z, LARGEST_Z)


def means_score(m: Means | None, *, margin: float, relative: bool, greater: bool) -> Score | None:
    """The score of one claim; None without an estimate."""
    if m is None:
        return None
    z = float(means_z(m, margin=margin, relative=relative))
    return Score(z if greater else -z, float(m.information))


def means_effect(m: Means | None, *, relative: bool) -> Effect | None:
    """Estimates and Wald standard error; None without one, or for the ratio to a mean of 0."""
    if m is None or (relative and m.mean0 == 0):
        return None
    mean0, mean1 = float(m.mean0), float(m.mean1)
    ratio = mean1 / mean0 if relative else 1.0
    variance = float(m.variance1) - 2 * ratio * float(m.covariance) + ratio**2 * float(m.variance0)
    error = math.sqrt(max(variance, 0.0))
    if not relative:
        return Effect(mean0, mean1, mean1 - mean0, error)
    return Effect(mean0, mean1, ratio - 1, error / abs(mean0))


def means_interval(m: Means | None, *, relative: bool, critical: float) -> tuple[float, float] | None:
    """The margins that neither one-sided claim beats at `critical`: the contrast inverted.

    For a ratio that is Fieller's interval; (-inf, inf) where the baseline's mean is not clearly away from 0.
    """
    effect = means_effect(m, relative=relative)
    if m is None or effect is None:
        return None
    if math.isinf(critical):
        return (-math.inf, math.inf)
    if not relative:
        half = critical * effect.standard_error
        return (effect.effect - half, effect.effect + half)
    c2 = critical**2
    mean0, mean1 = float(m.mean0), float(m.mean1)
    a = mean0**2 - c2 * float(m.variance0)
    b = mean0 * mean1 - c2 * float(m.covariance)
    c = mean1**2 - c2 * float(m.variance1)
    root = b * b - a * c
    if a <= 0 or root < 0:
        return (-math.inf, math.inf)
    return ((b - math.sqrt(root)) / a - 1, (b + math.sqrt(root)) / a - 1)
