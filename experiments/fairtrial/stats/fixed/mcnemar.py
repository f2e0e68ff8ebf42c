"""McNemar's (1947) tests of two paired proportions at margin 0.

Only pairs on which the arms differ tell them apart; without a difference either order is equally likely.
"""

from __future__ import annotations

import math

from scipy.special import betainc, binom, ndtr

from fairtrial.stats.fixed.result import FixedTest


def mcnemar_exact(n10: float, n01: float, *, greater: bool, mid_p: bool = False) -> FixedTest:
    """The claim "candidate - baseline > 0" (`greater`), or "< 0", by the binomial distribution of n01.

    n10, n01: pairs with the event in the baseline only, and in the candidate only.
    mid_p: count the observed table half (Lancaster, 1961): no longer strictly conservative, but close to the
        stated rate on average (Fagerland, Lydersen and Laake, 2013).
    Raises ValueError for negative counts.
    """
    against, for_it = _ordered(n10, n01, greater=greater)
    name = "McNemar mid-p" if mid_p else "McNemar exact"
    total = for_it + against
    # the incomplete beta is the binomial's upper tail, from for_it on
    p = float(betainc(for_it, against + 1, 0.5)) if for_it > 0 else 1.0
    if mid_p:
        p -= 0.5 * _probability(for_it, total)
    return FixedTest(name, p)


def mcnemar_asymptotic(n10: float, n01: float, *, greater: bool, continuity: bool = False) -> FixedTest:
    """The same by z = (n01 - n10) / sqrt(n01 + n10), with Edwards' (1948) correction by 1 if wanted.

    p is 0.5 if the arms never differ. Raises ValueError for negative counts.
    """
    against, for_it = _ordered(n10, n01, greater=greater)
    gap, total = for_it - against, for_it + against
    if continuity:
        gap -= 1.0
    z = gap / math.sqrt(total) if total > 0 else 0.0
    return FixedTest("McNemar asymptotic", float(ndtr(-z)))


def _probability(k: float, n: float) -> float:
    if n < 1000:
        return float(binom(n, k)) * 0.5**n
    log_p = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2)
    return math.exp(log_p)


def _ordered(n10: float, n01: float, *, greater: bool) -> tuple[float, float]:
    """(discordant pairs against the claim, those for it)."""
    if n10 < 0 or n01 < 0:
        raise ValueError("counts of pairs must not be negative")
    return (n10, n01) if greater else (n01, n10)
