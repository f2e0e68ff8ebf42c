"""Exact e-processes: evidence that is valid at every look, for ever and at any sample size.

An e-process is not negative, starts at 1, and has an expectation of at most 1 at any stopping time if the
claim does not hold; so it ever exceeds 1/alpha with probability at most alpha (Ville, 1939; Ramdas,
Gruenwald, Vovk and Shafer, 2023). Each one here is a likelihood ratio against the margin, mixed over effects
beyond it; all are natural logs, over any leading axes.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaln, logsumexp, xlogy

from fairtrial.stats.mixture import log_mixture, mixture_critical
from fairtrial.stats.score import FloatArray

_NODES = 64
_NODE_RANGE = (1 / 64, 4.0)  # effects of the mixture, over its scale
_LEAST_Z = -8.0


def discordant_log_e(
    n10: npt.ArrayLike, n01: npt.ArrayLike, *, greater: bool, planned_share: float = 0.6
) -> FloatArray:
    """Log e-value for "candidate - baseline > 0" (`greater`) or "< 0" of a paired binary metric.

    n10, n01: [...] discordant pairs so far, with the event in the baseline only and in the candidate only;
        simply added over strata, for without a difference either order has probability 1/2 in each.
    planned_share: share of the discordant pairs that go the claim's way if the effect is as planned, in
        (0.5, 1). The mixture is a beta distribution cut off below 1/2, whose standard deviation
        is sqrt(2) times (planned_share - 1/2), as in `SequentialMixture`. It costs power, never level.
    Exact: the pairs are Bernoulli trials, and the ratio is taken after any of them.
    Raises ValueError for negative counts or a share outside (0.5, 1).
    """
    against, for_it = (np.asarray(n, dtype=np.float64) for n in ((n10, n01) if greater else (n01, n10)))
    if np.any(against < 0) or np.any(for_it < 0):
        raise ValueError("counts of pairs must not be negative")
    if not 0.5 < planned_share < 1:
        raise ValueError(f"the planned share must lie between 0.5 and 1, got {planned_share}")
    # Beta(a, a) has the variance 1 / (4 (2 a + 1)); flatter than uniform is never wanted
    a = max(1.0, (1 / (8 * (planned_share - 0.5) ** 2) - 1) / 2)
    first, second = a + for_it, a + against
    whole = (for_it + against + 1) * math.log(2) + betaln(first, second) - betaln(a, a)
    upper = betainc(second, first, 0.5)
    # Where the tail underflows, the log-concave density falls from 1/2 on at least exponentially: that
    # bound is far below 1, as is the e-value.
    fall = np.maximum(2 * (second - first), 1.0)
    log_edge = (2 - first - second) * math.log(2) - betaln(first, second) - np.log(fall)
    return whole + np.where(upper > 1e-290, np.log(np.maximum(upper, 1e-290)), log_edge)


def poisson_log_e(
    exposure0: npt.ArrayLike,
    events0: npt.ArrayLike,
    exposure1: npt.ArrayLike,
    events1: npt.ArrayLike,
    *,
    margin: float,
    greater: bool,
    planned_ratio: float = 1.5,
) -> FloatArray:
    """Log e-value for "candidate's rate / baseline's rate > 1 + margin" (`greater`), or "< 1 + margin".

    exposure0, events0, exposure1, events1: [..., S] in each stratum: observations (or time), and the events
        among them, of a Poisson process with a rate of its own in each stratum. margin: above -1.
    planned_ratio: the true ratio over the margin's, if it is as planned, or the reverse for "<"; above 1. Its
        log scales the half-normal mixture over log ratios by sqrt(2), as in `SequentialMixture`.

    Given a stratum's total, the candidate's events are binomial with the share r e1 / (e0 + r e1) at a ratio
    r. For each r beyond the margin the likelihood ratios of all strata are multiplied, then mixed over r.
    Exact after each stratum, and within one as long as its exposures grow in proportion; strata without
    exposure in both arms say nothing.
    Raises ValueError for negative counts or exposures, a margin of -1 or less, or a ratio of 1 or less.
    """
    e0, x0, e1, x1 = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(a, np.float64)) for a in (exposure0, events0, exposure1, events1))
    )
    if any(np.any(a < 0) for a in (e0, x0, e1, x1)):
        raise ValueError("events and exposures must not be negative")
    if margin <= -1:
        raise ValueError(f"a relative margin must be above -1, got {margin}")
    if not planned_ratio > 1:
        raise ValueError(f"the planned ratio must exceed 1, got {planned_ratio}")
    both = (e0 > 0) & (e1 > 0)
    share = np.where(both, e1 / np.where(both, e0 + e1, 1.0), 0.5)
    x0, x1 = np.where(both, x0, 0.0), np.where(both, x1, 0.0)
    steps, log_weights = _half_normal_nodes(math.sqrt(2) * math.log(planned_ratio))

    def log_likelihood(log_ratio: float) -> FloatArray:
        candidate = share * math.exp(log_ratio)
        total = candidate + (1 - share)
        return (xlogy(x1, candidate / total) + xlogy(x0, (1 - share) / total)).sum(axis=-1)

    null = math.log1p(margin)
    base = log_likelihood(null)
    sign = 1.0 if greater else -1.0
    terms = [
        weight + log_likelihood(null + sign * step) - base
        for step, weight in zip(steps.tolist(), log_weights.tolist(), strict=True)
    ]
    return np.asarray(logsumexp(np.stack(terms), axis=0), dtype=np.float64)


def z_of_log_e(log_e: npt.ArrayLike, fractions: npt.ArrayLike, drift: float) -> FloatArray:
    """[...] the z at which the mixture of `AlwaysValid` has this value at the same fraction.

    It crosses that boundary exactly when the e-value crosses 1/alpha, so that a report can draw both on one
    scale. Values of the mixture below that of z = -8 are shown as -8.
    log_e: [...] natural logs; fractions: [...] positive; drift: that of the boundary.
    """
    t, value = np.broadcast_arrays(np.asarray(fractions, np.float64), np.asarray(log_e, np.float64))
    floor = log_mixture(t, np.full(t.shape, _LEAST_Z), drift)
    z = [
        float(mixture_critical(np.array([at]), drift, -max(level, least))[0])
        for at, level, least in zip(t.ravel(), value.ravel(), floor.ravel(), strict=True)
    ]
    return np.array(z).reshape(t.shape)


def _half_normal_nodes(scale: float) -> tuple[FloatArray, FloatArray]:
    """A half-normal distribution on geometrically spaced steps, and their log weights, which sum to 1.

    Any weights would be exact; that spacing fits each effect to within 5%, however many events there are.
    """
    steps = scale * np.geomspace(*_NODE_RANGE, _NODES)
    log_weights = -0.5 * (steps / scale) ** 2 + np.log(steps)
    return steps, log_weights - np.asarray(logsumexp(log_weights), dtype=np.float64)
