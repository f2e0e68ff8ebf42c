"""Sample ratio mismatch, watched at every look.

The e-value is that of Lindon and Malek (2022), "Anytime-Valid Inference for Multinomial Count Data"
(NeurIPS): the Bayes factor of a Dirichlet-multinomial against the multinomial with the intended
probabilities. It may be looked at after every unit: its chance of ever exceeding 1/alpha is at most alpha.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, gammaln, xlogy

from fairtrial.stats.score import FloatArray

CONCENTRATION = 100.0
"""Weight of the prior, in units: departures of about 1/sqrt(100 + 1) of a standard deviation are expected."""


def dirichlet_log_e_values(counts: npt.ArrayLike, expected: npt.ArrayLike) -> FloatArray:
    """Natural log of the e-value of each segment.

    counts: [..., A] units assigned to each arm.
    expected: [..., A] intended shares; each row is scaled to sum 1. A unit in an arm with share 0 is
        impossible, and its e-value is inf.
    Raises ValueError for negative counts, or shares that are negative or all 0.
    """
    x = np.asarray(counts, dtype=np.float64)
    share = np.asarray(expected, dtype=np.float64)
    if np.any(x < 0) or np.any(share < 0) or np.any(share.sum(axis=-1) <= 0):
        raise ValueError("counts and shares must not be negative, and some share must be positive")
    share = np.broadcast_to(share / share.sum(axis=-1, keepdims=True), x.shape)
    possible = share > 0
    prior = np.where(possible, CONCENTRATION * share, 1.0)
    total = x.sum(axis=-1)
    log_null = xlogy(x, np.where(possible, share, 1.0))
    terms = np.where(possible, gammaln(prior + x) - gammaln(prior) - log_null, 0.0)
    log_e = gammaln(CONCENTRATION) - gammaln(CONCENTRATION + total) + terms.sum(axis=-1)
    return np.where(np.any(~possible & (x > 0), axis=-1), np.inf, log_e)


def dirichlet_e_value(counts: npt.ArrayLike, expected: npt.ArrayLike) -> float:
    """Natural log of the product of the e-values of all segments.

    counts, expected: [A], or [segments, A]; see `dirichlet_log_e_values`. Segments are disjoint in
    units, so the product is an e-value again. Mismatch at rate alpha: result >= log(1 / alpha).
    """
    return float(np.sum(dirichlet_log_e_values(counts, expected)))


def chi_squared_p(counts: npt.ArrayLike, expected: npt.ArrayLike) -> float:
    """Pearson's chi-squared p-value, summed over segments: valid at one look only, for the report.

    counts, expected: [A], or [segments, A]. 1.0 without units; 0.0 if an impossible arm has some.
    """
    x = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    share = np.broadcast_to(np.atleast_2d(np.asarray(expected, dtype=np.float64)), x.shape)
    seen = x.sum(axis=-1) > 0
    x, share = x[seen], share[seen]
    mean = x.sum(axis=-1, keepdims=True) * share / share.sum(axis=-1, keepdims=True)
    if np.any((mean == 0) & (x > 0)):
        return 0.0
    freedom = int(np.sum(np.maximum((share > 0).sum(axis=-1) - 1, 0)))
    if freedom == 0:
        return 1.0
    statistic = np.sum(np.divide((x - mean) ** 2, mean, out=np.zeros_like(mean), where=mean > 0))
    return float(chdtrc(freedom, statistic))
