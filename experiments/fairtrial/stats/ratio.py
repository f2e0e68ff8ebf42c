"""Ratios of two sums: clicks per view, or any mean of requests that were randomised by unit.

Where units (users) are randomised, a rate of requests is a unit's sum over its number of requests; the
requests of one are alike, and a variance computed request by request is too small. The delta method (Deng,
Knoblich and Lu, 2018, "Applying the Delta Method in Metric Analytics") writes the ratio R = N / D of two
means as the mean of R + (numerator - R denominator) / D: a ratio is then a mean, compared as in `mean`.

A ratio within a stratum of a few units is biased, hence numerators and denominators are standardised over the
strata (weights n0 n1 / (n0 + n1), as in `strata`) before one is divided by the other, once an arm.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fairtrial.stats.score import FloatArray


def linearised(joint0: npt.ArrayLike, joint1: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The moments of values whose standardised mean is the ratio, by arm.

    joint0, joint1: moments of baseline and candidate in each stratum. [..., S, 6]: n, the means of numerator
    and denominator, their sums of squared deviations, and the sum of products. [..., S, 10], with a
    covariate: n, three means, three sums of squares, and the products numerator-denominator,
    numerator-covariate and denominator-covariate.
    Returns [..., S, 3] n, mean and sum of squares of the linearised value, ready for `mean`; with a covariate
    [..., S, 6] n, the means and the sums of squares of linearised value and covariate, and the sum of their
    products, ready for `adjusted`. n is 0 throughout where an arm's denominators do not add up to more than
    0: there is no ratio.
    """
    arms = [np.asarray(joint, dtype=np.float64) for joint in (joint0, joint1)]
    n0, n1 = arms[0][..., 0], arms[1][..., 0]
    both = (n0 > 0) & (n1 > 0)
    weight = np.where(both, n0 * n1 / np.where(both, n0 + n1, 1.0), 0.0)
    total = weight.sum(axis=-1, keepdims=True)
    share = weight / np.where(total > 0, total, 1.0)
    overall: list[list[FloatArray]] = [
        [(share * arm[..., column]).sum(axis=-1, keepdims=True) for column in (1, 2)] for arm in arms
    ]
    known = (overall[0][1] > 0) & (overall[1][1] > 0)
    values = [_values(arm, means[0], means[1], known) for arm, means in zip(arms, overall, strict=True)]
    return values[0], values[1]


def _values(
    joint: FloatArray, numerator: FloatArray, denominator: FloatArray, known: npt.NDArray[np.bool_]
) -> FloatArray:
    """The moments of one arm, whose overall means of numerator and denominator are [..., 1]."""
    scale = np.where(known, denominator, 1.0)
    ratio = np.where(known, numerator, 0.0) / scale
    covariate = joint.shape[-1] == 10
    squares, product = (joint[..., 4:6], joint[..., 7]) if covariate else (joint[..., 3:5], joint[..., 5])
    n = np.where(known, joint[..., 0], 0.0)
    mean = ratio + (joint[..., 1] - ratio * joint[..., 2]) / scale
    spread = squares[..., 0] - 2 * ratio * product + ratio**2 * squares[..., 1]
    spread = np.maximum(spread, 0.0) / scale**2
    if not covariate:
        return np.stack([n, mean, spread], axis=-1)
    cross = (joint[..., 8] - ratio * joint[..., 9]) / scale
    return np.stack([n, mean, joint[..., 3], spread, joint[..., 6], cross], axis=-1)
