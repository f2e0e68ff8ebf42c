"""Two means of independent requests: mean latency, absolute error, a reward.

Strata as in `strata`: the weighted mean difference within strata, by weights n0 n1 / (n0 + n1), with each
stratum's own variance (an arm's pooled one where a stratum holds a single value). `m2` is the sum of
squared deviations from the stratum's mean, which merges without cancellation (Chan, Golub and LeVeque).
Relative margins take the baseline's mean to be positive.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fairtrial.stats.moments import Means, means_effect, means_interval, means_score
from fairtrial.stats.score import Contributions, Effect, FloatArray, Score

MAXIMUM_SKEWNESS = 0.2
"""Of an estimate, to be judged as normal: Cochran's (1977) rule, n > 25 g^2 for values of skewness g."""


def within_variance(n: FloatArray, m2: FloatArray) -> FloatArray:
    """[..., S] variance in each stratum; that of all strata together where n is 1, 0 where it is 0."""
    several = n > 1
    freedom = np.where(several, n - 1, 0.0)
    own = np.where(several, m2, 0.0) / np.where(several, freedom, 1.0)
    total = freedom.sum(axis=-1, keepdims=True)
    pooled = (own * freedom).sum(axis=-1, keepdims=True) / np.maximum(total, 1.0)
    return np.where(several, own, np.where(n > 0, pooled, 0.0))


def pooled_skewness(
    n0: npt.ArrayLike,
    m2_0: npt.ArrayLike,
    m3_0: npt.ArrayLike,
    n1: npt.ArrayLike,
    m2_1: npt.ArrayLike,
    m3_1: npt.ArrayLike,
) -> FloatArray:
    """[...] skewness of single values about their stratum means, both arms' pooled by size.

    n, m2, m3: [..., S] counts, sums of squared and of cubed deviations. The arms are pooled because the small
    arm of an uneven split has seen too little of its tail to tell. 0 where nothing varies.
    """
    pooled, total = np.zeros(()), np.zeros(())
    for n, m2, m3 in ((n0, m2_0, m3_0), (n1, m2_1, m3_1)):
        size, square, cube = (np.atleast_1d(np.asarray(a, np.float64)).sum(axis=-1) for a in (n, m2, m3))
        varies = square > 0
        own = np.where(varies, cube * np.sqrt(size) / np.where(varies, square, 1.0) ** 1.5, 0.0)
        pooled, total = pooled + size * own, total + size
    return pooled / np.maximum(total, 1.0)


def stratified_means(
    n0: npt.ArrayLike,
    mean0: npt.ArrayLike,
    m2_0: npt.ArrayLike,
    n1: npt.ArrayLike,
    mean1: npt.ArrayLike,
    m2_1: npt.ArrayLike,
    skewness: npt.ArrayLike = 0.0,
) -> Means:
    """Standardised means of [..., S] moments; information 0 where no stratum has both arms.

    skewness: [...] of single values within arms and strata, see `pooled_skewness`.
    """
    size0, value0, square0, size1, value1, square1 = (
        np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (n0, mean0, m2_0, n1, mean1, m2_1)
    )
    both = (size0 > 0) & (size1 > 0)
    weight = np.where(both, size0 * size1 / np.where(both, size0 + size1, 1.0), 0.0)
    variance0, variance1 = within_variance(size0, square0), within_variance(size1, square1)
    total = weight.sum(axis=-1)
    safe = np.where(total > 0, total, 1.0)
    spread0 = np.where(both, weight**2 * variance0 / np.where(both, size0, 1.0), 0.0).sum(axis=-1)
    spread1 = np.where(both, weight**2 * variance1 / np.where(both, size1, 1.0), 0.0).sum(axis=-1)

    # As if both arms of every stratum had one shape and, scaled by the contrast's ratio, one variance. With
    # the variances that were seen an arm that happened upon its tail would look skewed as well, and the
    # correction would drive z away from 0: 5.9% false claims for 5% on heavy-tailed rewards.
    each0, each1 = (1 / np.where(both, size, 1.0) for size in (size0, size1))
    cubes = (weight**3 * (each1**2 - each0**2)).sum(axis=-1)
    skew = np.asarray(skewness, dtype=np.float64)
    # of the gamma family the kurtosis is 3 + 1.5 g^2; nothing is known of it where no skewness is given
    excess = np.where(skew != 0, 2 + 1.5 * skew**2, 0.0)
    unsure = sum(
        (weight**2 * each).sum(axis=-1) ** 2 / np.maximum(np.where(both, size, 0.0).sum(axis=-1), 1.0)
        for each, size in ((each0, size0), (each1, size1))
    )
    doubt = excess * unsure
    known = doubt <= 2e-6 * safe**2
    return Means(
        mean0=np.where(both, weight * value0, 0.0).sum(axis=-1) / safe,
        mean1=np.where(both, weight * value1, 0.0).sum(axis=-1) / safe,
        variance0=spread0 / safe**2,
        variance1=spread1 / safe**2,
        covariance=np.zeros_like(safe),
        information=total,
        skewness=np.clip(skew * cubes / safe**1.5, -1.0, 1.0),
        freedom=np.where(known, np.inf, 2 * safe**2 / np.where(known, 1.0, doubt)),
    )


def _means(
    n0: npt.ArrayLike,
    mean0: npt.ArrayLike,
    m2_0: npt.ArrayLike,
    n1: npt.ArrayLike,
    mean1: npt.ArrayLike,
    m2_1: npt.ArrayLike,
    inflation: float,
    skewness: float,
) -> Means | None:
    """None without a stratum with both arms, or without two values of an arm in some stratum."""
    m = stratified_means(n0, mean0, m2_0, n1, mean1, m2_1, skewness)
    enough = all(np.any(np.asarray(n) > 1) for n in (n0, n1))
    return replace(m, inflation=inflation) if enough and m.information > 0 else None


def mean_score(
    n0: npt.ArrayLike,
    mean0: npt.ArrayLike,
    m2_0: npt.ArrayLike,
    n1: npt.ArrayLike,
    mean1: npt.ArrayLike,
    m2_1: npt.ArrayLike,
    *,
    margin: float,
    relative: bool,
    greater: bool,
    inflation: float = 1.0,
    skewness: float = 0.0,
) -> Score | None:
    """Evidence for "candidate - baseline > margin" (`greater`), or "< margin"; for a relative margin
    candidate - (1 + margin) baseline against 0.

    n, mean, m2: [S] count, mean and sum of squared deviations of each arm in each stratum.
    inflation: from `batch_inflation` of `mean_contributions`, where requests are serially correlated.
    skewness: `pooled_skewness` of the values; needed where the split is far from even and values are
        skewed (latencies at 90/10: 10% false claims of improvement for 5% without it, 5% with it).
    None without a stratum with both arms, before an arm has two values in one stratum, or while the contrast
    is more skewed than `MAXIMUM_SKEWNESS`. Values that never vary, and differ, give |z| = 38.
    """
    m = _means(n0, mean0, m2_0, n1, mean1, m2_1, inflation, skewness)
    if m is not None and abs(m.skewness) > MAXIMUM_SKEWNESS:
        return None
    return means_score(m, margin=margin, relative=relative, greater=greater)


def contributions(
    n0: FloatArray,
    mean0: FloatArray,
    m2_0: FloatArray,
    n1: FloatArray,
    mean1: FloatArray,
    m2_1: FloatArray,
    ratio: FloatArray | float,
    difference: FloatArray | float,
) -> Contributions:
    """[..., S] weight (mean1 - ratio mean0 - difference) and its variance."""
    both = (n0 > 0) & (n1 > 0)
    size0, size1 = np.where(both, n0, 1.0), np.where(both, n1, 1.0)
    weight = np.where(both, size0 * size1 / (size0 + size1), 0.0)
    spread = within_variance(n1, m2_1) / size1 + ratio**2 * within_variance(n0, m2_0) / size0
    gap = np.where(both, mean1, 0.0) - ratio * np.where(both, mean0, 0.0) - difference
    return Contributions(weight * gap, weight**2 * spread)


def mean_contributions(
    n0: npt.ArrayLike,
    mean0: npt.ArrayLike,
    m2_0: npt.ArrayLike,
    n1: npt.ArrayLike,
    mean1: npt.ArrayLike,
    m2_1: npt.ArrayLike,
    *,
    relative: bool = False,
) -> Contributions:
    """Per-stratum scores and variances at the estimated effect, for `batch_inflation`; [S] each."""
    a = [np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in (n0, mean0, m2_0, n1, mean1, m2_1)]
    m = stratified_means(*a)
    if relative and m.mean0 != 0:
        return contributions(*a, ratio=float(m.mean1 / m.mean0), difference=0.0)
    return contributions(*a, ratio=1.0, difference=float(m.mean1 - m.mean0))


def mean_effect(
    n0: npt.ArrayLike,
    mean0: npt.ArrayLike,
    m2_0: npt.ArrayLike,
    n1: npt.ArrayLike,
    mean1: npt.ArrayLike,
    m2_1: npt.ArrayLike,
    *,
    relative: bool,
    inflation: float = 1.0,
    skewness: float = 0.0,
) -> Effect | None:
    """Standardised means and their difference, or ratio - 1; None where `mean_score` is."""
    return means_effect(_means(n0, mean0, m2_0, n1, mean1, m2_1, inflation, skewness), relative=relative)


def mean_interval(
    n0: npt.ArrayLike,
    mean0: npt.ArrayLike,
    m2_0: npt.ArrayLike,
    n1: npt.ArrayLike,
    mean1: npt.ArrayLike,
    m2_1: npt.ArrayLike,
    *,
    relative: bool,
    critical: float,
    inflation: float = 1.0,
    skewness: float = 0.0,
) -> tuple[float, float] | None:
    """The margins that neither one-sided claim beats at `critical`: the score inverted (Fieller's when
    relative); None where `mean_score` is.
    """
    m = _means(n0, mean0, m2_0, n1, mean1, m2_1, inflation, skewness)
    return means_interval(m, relative=relative, critical=critical)
