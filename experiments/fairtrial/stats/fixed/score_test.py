"""The score test of two independent proportions with a margin.

z of Farrington and Manning (1990, Statistics in Medicine 9, 1447-1454), whose variance is at the maximum
likelihood rates under the margin; Miettinen and Nurminen (1985) multiply that by n / (n - 1). Both for a
difference and for a ratio.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from fairtrial.stats.binary import constrained_rates
from fairtrial.stats.fixed.result import FixedTest, normal_quantile
from fairtrial.stats.inversion import invert
from fairtrial.stats.moments import LARGEST_Z
from fairtrial.stats.score import FloatArray
from fairtrial.stats.strata import Table, table


def score_test(
    n0: float,
    x0: float,
    n1: float,
    x1: float,
    *,
    margin: float,
    relative: bool,
    greater: bool,
    level: float = 0.95,
    miettinen_nurminen: bool = True,
) -> FixedTest:
    """The claim "effect > margin" (`greater`), or "< margin", from x events of n observations of each arm.

    margin: of candidate - baseline, or of the ratio minus 1 when `relative`; signed.
    miettinen_nurminen: else the variance is Farrington and Manning's. The interval inverts the test; there
    is none without observations, or for the ratio to a rate of 0. p is 0.5 where nothing varies.
    Raises ValueError for impossible counts, or a level outside (0, 1).
    """
    if not (0 <= x0 <= n0 and 0 <= x1 <= n1):
        raise ValueError("events must not be negative, nor more than observations")
    name = "Miettinen-Nurminen" if miettinen_nurminen else "Farrington-Manning"
    critical = normal_quantile(level)
    if n0 == 0 or n1 == 0:
        return FixedTest(name, 1.0)
    t = table(n0, x0, n1, x1)
    total = n0 + n1
    inflation = total / (total - 1) if miettinen_nurminen else 1.0

    def z(margins: FloatArray) -> FloatArray:
        return _z(t, margins, relative=relative) / np.sqrt(inflation)

    statistic = float(z(np.asarray(margin, dtype=np.float64)))
    interval = None
    if not (relative and x0 == 0):
        estimate = x1 / n1 / (x0 / n0) - 1 if relative else x1 / n1 - x0 / n0
        interval = invert(z, estimate=estimate, critical=critical, relative=relative)
    return FixedTest(name, float(ndtr(-statistic if greater else statistic)), interval)


def _z(t: Table, margin: FloatArray, *, relative: bool) -> FloatArray:
    p0, p1 = constrained_rates(t, margin=margin, relative=relative)
    factor = 1 + margin if relative else np.ones_like(margin)
    gap = t.rate1 - factor * t.rate0 - (0.0 if relative else margin)
    variance = p1 * (1 - p1) / t.size1 + factor**2 * p0 * (1 - p0) / t.size0
    # without variance a gap is impossible under the margin, and none is no evidence
    certain = np.where(np.abs(gap) > 1e-12, np.sign(gap) * LARGEST_Z, 0.0)
    return np.where(variance > 0, gap / np.sqrt(np.where(variance > 0, variance, 1.0)), certain)
