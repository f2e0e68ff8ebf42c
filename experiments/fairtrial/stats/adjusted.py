"""Two means adjusted for a covariate that was known before the experiment (CUPED).

Deng, Xu, Kohavi and Walker (2013), "Improving the Sensitivity of Online Controlled Experiments by Utilizing
Pre-Experiment Data": the arms differ in the covariate by chance only, so that theta times that difference can
be taken off the difference of means. With theta the regression slope within strata and arms, the variance
falls by the factor 1 - rho^2.

Only the candidate's mean is adjusted, to the covariate of the baseline: the baseline's is the plain one, a
margin relative to it means the same as without the covariate, and the noise that the adjustment brings
along is in the variances and the covariance of the two. Strata as in `mean`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fairtrial.stats.mean import contributions, within_variance
from fairtrial.stats.moments import Means, means_effect, means_interval, means_score
from fairtrial.stats.score import Contributions, Effect, FloatArray, Score


def slope(joint0: npt.ArrayLike, joint1: npt.ArrayLike) -> FloatArray:
    """[...] theta: the slope of the value on the covariate within arms and strata, of [..., S, 6] moments.

    0 where the covariate does not vary.
    """
    both = [np.asarray(joint, dtype=np.float64) for joint in (joint0, joint1)]
    square, cross, size = (
        sum((part.sum(axis=-1) for part in parts), np.zeros(()))
        for parts in (
            [arm[..., 4] for arm in both],
            [arm[..., 5] for arm in both],
            [arm[..., 0] * arm[..., 2] ** 2 for arm in both],
        )
    )
    varies = square > 1e-24 * size  # less is the rounding of a constant
    return np.where(varies, cross / np.where(varies, square, 1.0), 0.0)


def residual_variance(joint0: npt.ArrayLike, joint1: npt.ArrayLike) -> float:
    """Variance of a value about its regression on the covariate, of both arms' [S, 6] moments; 0 of none."""
    arms = [np.asarray(joint, dtype=np.float64) for joint in (joint0, joint1)]
    theta = slope(*arms)
    squares = sum(float(combined(arm, 1.0, theta)[2].sum()) for arm in arms)
    return squares / max(sum(float(arm[:, 0].sum()) for arm in arms), 1.0)


def adjusted_means(joint0: npt.ArrayLike, joint1: npt.ArrayLike) -> Means:
    """The baseline's mean and the candidate's adjusted one, of [..., S, 6] moments of value and covariate.

    joint0, joint1: n, both means, both sums of squared deviations and the sum of products, of baseline and
    candidate in each stratum. Information is 0 where no stratum has both arms.
    """
    arm0, arm1 = (np.asarray(joint, dtype=np.float64) for joint in (joint0, joint1))
    n0, n1 = arm0[..., 0], arm1[..., 0]
    theta = slope(arm0, arm1)
    both = (n0 > 0) & (n1 > 0)
    weight = np.where(both, n0 * n1 / np.where(both, n0 + n1, 1.0), 0.0)
    total = weight.sum(axis=-1)
    safe = np.where(total > 0, total, 1.0)

    def mean(arm: FloatArray, column: int) -> FloatArray:
        return np.where(both, weight * arm[..., column], 0.0).sum(axis=-1) / safe

    def spread(n: FloatArray, squares: FloatArray) -> FloatArray:
        each = within_variance(n, squares) / np.where(both, n, 1.0)
        return np.where(both, weight**2 * each, 0.0).sum(axis=-1) / safe**2

    residual = combined(arm1, 1.0, theta)[2]
    return Means(
        mean0=mean(arm0, 1),
        mean1=mean(arm1, 1) - theta * (mean(arm1, 2) - mean(arm0, 2)),
        variance0=spread(n0, arm0[..., 3]),
        variance1=spread(n1, residual) + theta**2 * spread(n0, arm0[..., 4]),
        covariance=theta * spread(n0, arm0[..., 5]),
        information=total,
    )


def combined(
    joint: FloatArray, factor: FloatArray | float, theta: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """[..., S] n, mean and sum of squares of factor * value - theta * covariate."""
    slopes = theta[..., None]
    squares = factor**2 * joint[..., 3] - 2 * factor * slopes * joint[..., 5] + slopes**2 * joint[..., 4]
    return joint[..., 0], factor * joint[..., 1] - slopes * joint[..., 2], np.maximum(squares, 0.0)


def _means(joint0: npt.ArrayLike, joint1: npt.ArrayLike, inflation: float) -> Means | None:
    """None without a stratum with both arms, or without two values of an arm in some stratum."""
    enough = all(np.any(np.asarray(joint)[..., 0] > 1) for joint in (joint0, joint1))
    m = adjusted_means(joint0, joint1)
    return replace(m, inflation=inflation) if enough and m.information > 0 else None


def adjusted_score(
    joint0: npt.ArrayLike,
    joint1: npt.ArrayLike,
    *,
    margin: float,
    relative: bool,
    greater: bool,
    inflation: float = 1.0,
) -> Score | None:
    """Evidence for "candidate - baseline > margin" (`greater`), or "< margin", after adjustment.

    joint0, joint1: [S, 6] as in `adjusted_means`. margin: of the difference, or of the ratio to the
    baseline's unadjusted mean minus 1 when `relative`; signed.
    inflation: from `batch_inflation` of `adjusted_contributions`, where requests are serially correlated.
    None where `mean_score` is.
    """
    return means_score(_means(joint0, joint1, inflation), margin=margin, relative=relative, greater=greater)


def adjusted_contributions(
    joint0: npt.ArrayLike, joint1: npt.ArrayLike, *, relative: bool = False
) -> Contributions:
    """Per-stratum scores and variances at the estimated effect, for `batch_inflation`; [S] each."""
    arm0, arm1 = (np.asarray(joint, dtype=np.float64) for joint in (joint0, joint1))
    m = adjusted_means(arm0, arm1)
    ratio = float(m.mean1 / m.mean0) if relative and m.mean0 != 0 else 1.0
    theta = slope(arm0, arm1)
    return contributions(
        *combined(arm0, ratio, theta),
        *combined(arm1, 1.0, theta),
        ratio=1.0,
        difference=float(m.mean1 - ratio * m.mean0),
    )


def adjusted_effect(
    joint0: npt.ArrayLike, joint1: npt.ArrayLike, *, relative: bool, inflation: float = 1.0
) -> Effect | None:
    """The baseline's mean, the candidate's adjusted one, and their difference, or ratio - 1; None where
    `adjusted_score` is.
    """
    return means_effect(_means(joint0, joint1, inflation), relative=relative)


def adjusted_interval(
    joint0: npt.ArrayLike,
    joint1: npt.ArrayLike,
    *,
    relative: bool,
    critical: float,
    inflation: float = 1.0,
) -> tuple[float, float] | None:
    """The margins that neither one-sided claim beats at `critical`: the score inverted (Fieller's when
    relative); None where `adjusted_score` is.
    """
    return means_interval(_means(joint0, joint1, inflation), relative=relative, critical=critical)
