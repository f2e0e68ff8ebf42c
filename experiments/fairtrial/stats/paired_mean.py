"""Two means of paired requests: both arms answered the same row.

m00 and m11 are the sums of squared deviations of baseline and candidate from their stratum means, m01
the sum of the products of both. A pair's contrast is free of drift by itself, so the strata are merged
into one (Chan, Golub and LeVeque's formula), and no stratum is too small to count.
Relative margins take the baseline's mean to be positive.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fairtrial.stats.moments import Means, means_effect, means_interval, means_score
from fairtrial.stats.score import Contributions, Effect, Score


def merged_means(
    n: npt.ArrayLike,
    mean0: npt.ArrayLike,
    mean1: npt.ArrayLike,
    m00: npt.ArrayLike,
    m11: npt.ArrayLike,
    m01: npt.ArrayLike,
) -> Means:
    """Means over all pairs of [..., S] moments; information (pairs) may be below 2."""
    size, value0, value1, s00, s11, s01 = (
        np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (n, mean0, mean1, m00, m11, m01)
    )
    some = size > 0
    value0, value1 = np.where(some, value0, 0.0), np.where(some, value1, 0.0)
    pairs = size.sum(axis=-1)
    safe = np.maximum(pairs, 1.0)
    grand0, grand1 = (size * value0).sum(axis=-1) / safe, (size * value1).sum(axis=-1) / safe
    off0, off1 = value0 - grand0[..., None], value1 - grand1[..., None]
    scale = 1 / (safe * np.maximum(pairs - 1, 1.0))
    return Means(
        mean0=grand0,
        mean1=grand1,
        variance0=np.where(some, s00 + size * off0**2, 0.0).sum(axis=-1) * scale,
        variance1=np.where(some, s11 + size * off1**2, 0.0).sum(axis=-1) * scale,
        covariance=np.where(some, s01 + size * off0 * off1, 0.0).sum(axis=-1) * scale,
        information=pairs,
    )


def _means(
    n: npt.ArrayLike,
    mean0: npt.ArrayLike,
    mean1: npt.ArrayLike,
    m00: npt.ArrayLike,
    m11: npt.ArrayLike,
    m01: npt.ArrayLike,
    inflation: float,
) -> Means | None:
    """None below two pairs."""
    m = merged_means(n, mean0, mean1, m00, m11, m01)
    return replace(m, inflation=inflation) if m.information > 1 else None


def paired_mean_score(
    n: npt.ArrayLike,
    mean0: npt.ArrayLike,
    mean1: npt.ArrayLike,
    m00: npt.ArrayLike,
    m11: npt.ArrayLike,
    m01: npt.ArrayLike,
    *,
    margin: float,
    relative: bool,
    greater: bool,
    inflation: float = 1.0,
) -> Score | None:
    """Evidence for "mean of candidate - baseline > margin" (`greater`), or "< margin"; for a relative
    margin candidate - (1 + margin) baseline against 0.

    All [S]: pairs, means, and sums of squares and products about them, in each stratum.
    inflation: from `batch_inflation` of `paired_mean_contributions`, where pairs are serially correlated.
    None below two pairs. Contrasts that never vary, and are not 0, give |z| = 38.
    """
    m = _means(n, mean0, mean1, m00, m11, m01, inflation)
    return means_score(m, margin=margin, relative=relative, greater=greater)


def paired_mean_contributions(
    n: npt.ArrayLike,
    mean0: npt.ArrayLike,
    mean1: npt.ArrayLike,
    m00: npt.ArrayLike,
    m11: npt.ArrayLike,
    m01: npt.ArrayLike,
    *,
    relative: bool = False,
) -> Contributions:
    """Per-stratum scores and variances at the estimated effect, for `batch_inflation`; [S] each."""
    m = merged_means(n, mean0, mean1, m00, m11, m01)
    size, value0, value1 = (np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (n, mean0, mean1))
    ratio = float(m.mean1 / m.mean0) if relative and m.mean0 != 0 else 1.0
    gap = value1 - ratio * value0 - float(m.mean1 - ratio * m.mean0)
    variance = float((m.variance1 - 2 * ratio * m.covariance + ratio**2 * m.variance0) * m.information)
    return Contributions(np.where(size > 0, size * gap, 0.0), size * max(variance, 0.0))


def paired_mean_effect(
    n: npt.ArrayLike,
    mean0: npt.ArrayLike,
    mean1: npt.ArrayLike,
    m00: npt.ArrayLike,
    m11: npt.ArrayLike,
    m01: npt.ArrayLike,
    *,
    relative: bool,
    inflation: float = 1.0,
) -> Effect | None:
    """Means of both arms and their difference, or ratio - 1; None below two pairs."""
    return means_effect(_means(n, mean0, mean1, m00, m11, m01, inflation), relative=relative)


def paired_mean_interval(
    n: npt.ArrayLike,
    mean0: npt.ArrayLike,
    mean1: npt.ArrayLike,
    m00: npt.ArrayLike,
    m11: npt.ArrayLike,
    m01: npt.ArrayLike,
    *,
    relative: bool,
    critical: float,
    inflation: float = 1.0,
) -> tuple[float, float] | None:
    """The margins that neither one-sided claim beats at `critical`: the score inverted (Fieller's when
    relative); None below two pairs.
    """
    m = _means(n, mean0, mean1, m00, m11, m01, inflation)
    return means_interval(m, relative=relative, critical=critical)
