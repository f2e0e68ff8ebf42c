"""Fisher's (1935) exact test of two independent proportions at margin 0."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, logsumexp

from fairtrial.stats.fixed.result import FixedTest
from fairtrial.stats.score import FloatArray


def fisher_exact(n0: float, x0: float, n1: float, x1: float, *, greater: bool) -> FixedTest:
    """The claim "candidate - baseline > 0" (`greater`), or "< 0", from x events of n observations of each.

    The candidate's events are hypergeometric, given those of both arms. Whole numbers are expected.
    Raises ValueError for impossible counts.
    """
    if not (0 <= x0 <= n0 and 0 <= x1 <= n1):
        raise ValueError("events must not be negative, nor more than observations")
    events, total = x0 + x1, n0 + n1
    if not greater:
        # few events are many non-events
        x1, events = n1 - x1, total - events
    most = min(n1, events)
    k = np.arange(x1, most + 1, dtype=np.float64)
    log_p = (
        _log_choose(n1, k) + _log_choose(n0, events - k) - _log_choose(total, np.array([events], np.float64))
    )
    return FixedTest("Fisher exact", min(1.0, float(np.exp(np.asarray(logsumexp(log_p), dtype=np.float64)))))


def _log_choose(n: float, k: FloatArray) -> FloatArray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
