"""A contrast of two means, and what follows from it: z, estimate and interval.

Both kinds of mean test, unpaired and paired, come down to two estimated means with a covariance. A
relative margin is judged by the linear contrast candidate - (1 + margin) baseline, never by dividing: a
ratio of means is skewed where the contrast is not.
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
    """Estimated means, what is known of the errors of the estimates, and the information behind them;
    arrays over any leading axes.

    variance0, variance1, covariance: as if requests were independent. skewness: of their contrast, within -1
    and 1. freedom: degrees of freedom of its estimated variance, inf where that is taken to be known.
    inflation: factor on the variances for serial correlation.
    """

    mean0: FloatArray
    mean1: FloatArray
    variance0: FloatArray
    variance1: FloatArray
    covariance: FloatArray
    information: FloatArray
    skewness: FloatArray | float = 0.0
    freedom: FloatArray | float = math.inf
    inflation: FloatArray | float = 1.0

    def variance(self, ratio: FloatArray | float) -> FloatArray:
        """Variance of mean1 - ratio mean0, without inflation."""
        return self.variance1 - 2 * ratio * self.covariance + ratio**2 * self.variance0


def normal_of_t(t: FloatArray, freedom: FloatArray | float) -> FloatArray:
    """The normal deviate of Student's t: Wallace's (1959) approximation, monotone and within 0.02 of it."""
    finite = np.isfinite(freedom)
    nu = np.where(finite, freedom, 1.0)
    shrink = (8 * nu + 1) / (8 * nu + 3)
    return np.where(finite, np.sign(t) * shrink * np.sqrt(nu * np.log1p(t**2 / nu)), t)


def t_of_normal(z: float, freedom: float) -> float:
    """The inverse of `normal_of_t` in t."""
    if math.isinf(freedom):
        return z
    shrink = (8 * freedom + 1) / (8 * freedom + 3)
    return math.copysign(math.sqrt(freedom * math.expm1((z / shrink) ** 2 / freedom)), z)


def unskewed(t: FloatArray, skewness: FloatArray | float) -> FloatArray:
    """Hall's (1992) cubic: a studentised mean, of an estimate with this skewness, made normal.

    A studentised mean of latencies leans to the left, because a sample without its rare slow requests
    has both a low mean and a small variance. Monotone in t.
    """
    return t * (1 + skewness * t / 3 + (skewness * t) ** 2 / 27) + skewness / 6


def reskewed(z: float, skewness: float) -> float:
    """The inverse of `unskewed` in t."""
    if abs(skewness) < 1e-9:
        return z
    return 3 / skewness * (float(np.cbrt(1 + skewness * (z - skewness / 6))) - 1)


def means_z(m: Means, *, margin: npt.ArrayLike, relative: bool) -> FloatArray:
    """Standardised contrast, large where the effect is above the margin; never NaN, at most 38 in size."""
    value = np.asarray(margin, dtype=np.float64)
    ratio = 1 + value if relative else np.ones_like(value)
    gap = m.mean1 - ratio * m.mean0 - (0.0 if relative else value)
    variance = m.variance(ratio) * m.inflation
    # a spread far below the rounding of the means is none
    floor = (1e-12 * (np.abs(m.mean1) + np.abs(ratio * m.mean0))) ** 2
    gap = np.where(gap**2 <= floor, 0.0, gap)
    varies = variance > floor
    t = np.clip(gap / np.sqrt(np.where(varies, variance, 1.0)), -LARGEST_Z, LARGEST_Z)
    straight = normal_of_t(unskewed(t, m.skewness), m.freedom)
    z = np.where(varies, straight, np.sign(gap) * LARGEST_Z)
    return np.clip(z, -LARGEST_Z, LARGEST_Z)


def means_score(m: Means | None, *, margin: float, relative: bool, greater: bool) -> Score | None:
    """The score of one claim; None without an estimate."""
    if m is None:
        return None
    z = float(means_z(m, margin=margin, relative=relative))
    ratio = 1 + margin if relative else 1.0
    return Score(z if greater else -z, float(m.information), float(m.variance(ratio) * m.information**2))


def means_effect(m: Means | None, *, relative: bool) -> Effect | None:
    """Estimates and Wald standard error; None without one, or for the ratio to a mean of about 0."""
    if m is None or (relative and np.abs(m.mean0) <= 1e-12 * np.abs(m.mean1)):
        return None
    mean0, mean1 = float(m.mean0), float(m.mean1)
    ratio = mean1 / mean0 if relative else 1.0
    error = math.sqrt(max(float(m.variance(ratio)), 0.0) * float(m.inflation))
    if not relative:
        return Effect(mean0, mean1, mean1 - mean0, error)
    return Effect(mean0, mean1, ratio - 1, error / abs(mean0))


def means_interval(m: Means | None, *, relative: bool, critical: float) -> tuple[float, float] | None:
    """The margins that neither one-sided claim beats at `critical`: the contrast inverted.

    For a ratio that is Fieller's interval; -inf and inf where the baseline's mean is not clearly away from 0.
    """
    effect = means_effect(m, relative=relative)
    if m is None or effect is None:
        return None
    if math.isinf(critical):
        return (-math.inf, math.inf)
    t_low, t_high = (
        reskewed(t_of_normal(z, float(m.freedom)), float(m.skewness)) for z in (critical, -critical)
    )
    if not relative:
        return (effect.effect - t_low * effect.standard_error, effect.effect - t_high * effect.standard_error)
    lower, upper = _fieller(m, t_low), _fieller(m, t_high)
    return (-math.inf if lower is None else lower, math.inf if upper is None else upper)


def _fieller(m: Means, t: float) -> float | None:
    """The margin at which the contrast of a ratio is t standard errors from 0; None if there is none."""
    t2 = t * t * float(m.inflation)
    mean0, mean1 = float(m.mean0), float(m.mean1)
    a = mean0**2 - t2 * float(m.variance0)
    b = mean0 * mean1 - t2 * float(m.covariance)
    c = mean1**2 - t2 * float(m.variance1)
    if a <= 0 or b * b - a * c < 0:
        return None
    return (b - math.copysign(math.sqrt(b * b - a * c), t)) / a - 1
