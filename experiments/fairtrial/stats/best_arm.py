"""How likely each arm is the best one: what Thompson sampling divides traffic by."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

FloatArray: TypeAlias = npt.NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


def probability_best(gains: FloatArray, standard_errors: FloatArray) -> FloatArray:
    """The probability that each arm has the largest mean, the baseline first.

    gains: [K] of candidates over the baseline, in any unit. standard_errors: [K] of them, positive.
    Returns [K + 1], summing to 1: the posterior of independent gains under flat priors, which is the
    normal approximation of Thompson (1933), "On the likelihood that one unknown probability exceeds
    another". The gains share the baseline's noise; that is left out, which matters little to a division
    of traffic and never reaches a verdict.
    """
    largest = np.empty(gains.size + 1)
    largest[0] = np.prod(ndtr(-gains / standard_errors))
    for k, (gain, error) in enumerate(zip(gains, standard_errors, strict=True)):
        least = ndtr(-gain / error)  # quantile at which this candidate is as good as the baseline
        points = gain + error * ndtri(least + (1 - least) * (_NODES + 1) / 2)
        others = np.delete(np.arange(gains.size), k)
        z = (points[:, None] - gains[others]) / standard_errors[others]
        largest[k + 1] = (1 - least) / 2 * float(_WEIGHTS @ np.prod(ndtr(z), axis=1))
    return largest / largest.sum()
