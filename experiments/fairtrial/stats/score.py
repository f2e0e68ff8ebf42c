"""What a statistic hands back, whatever its kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """Evidence for one claim "parameter beyond margin"; compare `z` with a boundary's critical value.

    z: standardised and signed, larger is more evidence for the claim.
    information: effective sample size of the comparison. For two arms it is the sum over strata of
        n0 n1 / (n0 + n1) (half the size of an arm at 50/50), for pairs the number of pairs. It grows by
        addition, so its ratio to the planned maximum is the information fraction of a look.
    variance: of the statistic's numerator so far, in any unit. Statistics of two looks are correlated as the
        root of the ratio of their variances; `Boundary.critical` takes it where it does not grow in
        proportion to the information, because rates or variances drift.
    """

    z: float
    information: float
    variance: float


@dataclass(frozen=True)
class Effect:
    """Estimates in the metric's unit; `effect` is a difference, or a ratio minus 1 when relative."""

    baseline: float
    candidate: float
    effect: float
    standard_error: float  # of `effect`, by Wald; for display and for dividing traffic, never for a claim


@dataclass(frozen=True)
class Contributions:
    """What each stratum adds to a score, in the order of the strata, centred at the estimated effect.

    Under independence the scores have mean 0 and the stated variances; `batches.batch_inflation`
    compares the two.
    """

    scores: FloatArray  # [S]
    variances: FloatArray  # [S]
