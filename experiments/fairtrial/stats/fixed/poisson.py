"""The conditional test of two Poisson rates (Przyborowski and Wilenski, 1940).

Given a stratum's events of both arms, the candidate's are binomial with the share
r e1 / (e0 + r e1) at a ratio r of the rates. Over strata that share differently the sum of those
binomials is taken, exactly up to 20,000 events and by Edgeworth's correction to the normal beyond.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaincinv, ndtr

from fairtrial.stats.fixed.result import FixedTest, tail
from fairtrial.stats.score import FloatArray

_LARGEST_EXACT = 20_000
_WIDEST_LOG_RATIO = math.log(1e6)


@dataclass(frozen=True)
class _Strata:
    """Strata in which both arms have exposure and there are events. `odds`: [S] candidate's exposure over the
    baseline's."""

    totals: FloatArray
    odds: FloatArray
    events0: float
    events1: float

    def share(self, log_ratio: float) -> FloatArray:
        relative = self.odds * math.exp(log_ratio)
        return relative / (1 + relative)

    def upper_tail(self, log_ratio: float) -> float:
        """P(the candidate has at least the events that were seen) at this ratio."""
        return _at_least(self.totals, self.share(log_ratio), self.events1)

    def lower_tail(self, log_ratio: float) -> float:
        """P(it has at most those)."""
        return _at_least(self.totals, 1 - self.share(log_ratio), self.events0)


def conditional_poisson(
    exposure0: npt.ArrayLike,
    events0: npt.ArrayLike,
    exposure1: npt.ArrayLike,
    events1: npt.ArrayLike,
    *,
    margin: float,
    greater: bool,
    level: float = 0.95,
) -> FixedTest:
    """The claim "candidate's rate / baseline's rate - 1 > margin" (`greater`), or "< margin".

    exposure0, events0, exposure1, events1: [S] observations (or time) and events in each stratum; a scalar is
    one stratum. The interval, of the ratio minus 1, inverts both one-sided tests (Clopper and Pearson's, with
    one stratum). p is 1 and the interval open without any events.
    Raises ValueError for negative counts or exposures, a margin of -1 or less, or a level outside (0, 1).
    """
    name = "conditional Poisson"
    outside = tail(level)
    if margin <= -1:
        raise ValueError(f"a relative margin must be above -1, got {margin}")
    strata = _strata(exposure0, events0, exposure1, events1)
    if not strata.totals.size:
        return FixedTest(name, 1.0, (-1.0, math.inf))
    null = math.log1p(margin)
    p = strata.upper_tail(null) if greater else strata.lower_tail(null)
    return FixedTest(name, p, _interval(strata, outside))


def _strata(
    exposure0: npt.ArrayLike, events0: npt.ArrayLike, exposure1: npt.ArrayLike, events1: npt.ArrayLike
) -> _Strata:
    e0, x0, e1, x1 = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(a, np.float64)) for a in (exposure0, events0, exposure1, events1))
    )
    if any(np.any(a < 0) for a in (e0, x0, e1, x1)):
        raise ValueError("events and exposures must not be negative")
    some = (e0 > 0) & (e1 > 0) & (x0 + x1 > 0)
    # strata that share alike are one
    odds, group = np.unique((e1[some] / e0[some]).round(12), return_inverse=True)
    totals = np.bincount(group, (x0 + x1)[some], minlength=odds.size).astype(np.float64)
    return _Strata(totals, odds, float(x0[some].sum()), float(x1[some].sum()))


def _at_least(totals: FloatArray, shares: FloatArray, events: float) -> float:
    """P(sum of Binomial(totals, shares) >= events)."""
    if events <= 0:
        return 1.0
    n = float(totals.sum())
    if totals.size == 1:
        return float(betainc(events, n - events + 1, shares[0]))
    if n > _LARGEST_EXACT:
        return _edgeworth(totals, shares, events)
    size = int(n) + 1
    half = np.arange(size // 2 + 1)
    turn = np.exp(-2j * math.pi * half / size)
    log_transform = np.zeros(half.size, dtype=np.complex128)
    for total, share in zip(totals.tolist(), shares.tolist(), strict=True):
        log_transform += total * np.log(np.maximum(1 - share, 1e-300) + share * turn)
    mass = np.fft.irfft(np.exp(log_transform), size)
    return min(max(float(mass[int(events) :].sum()), 0.0), 1.0)


def _edgeworth(totals: FloatArray, shares: FloatArray, events: float) -> float:
    spread = totals * shares * (1 - shares)
    variance = float(spread.sum())
    skewness = float((spread * (1 - 2 * shares)).sum()) / variance**1.5
    z = (events - 0.5 - float(totals @ shares)) / math.sqrt(variance)
    density = math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return min(max(float(ndtr(-z)) + skewness / 6 * (z * z - 1) * density, 0.0), 1.0)


def _interval(strata: _Strata, outside: float) -> tuple[float, float]:
    x0, x1 = strata.events0, strata.events1
    if strata.totals.size == 1:
        odds = float(strata.odds[0])
        low = float(betaincinv(x1, x0 + 1, outside)) if x1 else 0.0
        high = float(betaincinv(x1 + 1, x0, 1 - outside)) if x0 else 1.0
        return (low / (1 - low) / odds - 1, high / (1 - high) / odds - 1 if x0 else math.inf)
    lower = _root(lambda r: strata.upper_tail(r) - outside) if x1 else -math.inf
    upper = _root(lambda r: outside - strata.lower_tail(r)) if x0 else math.inf
    return (math.expm1(lower), math.expm1(upper) if x0 else math.inf)


def _root(rising: Callable[[float], float]) -> float:
    """The log ratio at which an increasing function is 0, by Ridders' (1979) method."""
    low, high = -_WIDEST_LOG_RATIO, _WIDEST_LOG_RATIO
    at_low, at_high = rising(low), rising(high)
    for _ in range(60):
        if high - low < 1e-7:
            break
        middle = (low + high) / 2
        at_middle = rising(middle)
        scale = math.sqrt(max(at_middle**2 - at_low * at_high, 0.0))
        guess = (
            middle
            if scale == 0
            else middle + (middle - low) * at_middle * math.copysign(1.0, at_low - at_high) / scale
        )
        at_guess = rising(guess)
        ends = sorted([(low, at_low), (middle, at_middle), (guess, at_guess), (high, at_high)])
        below = [end for end in ends if end[1] < 0] or ends[:1]
        above = [end for end in ends if end[1] >= 0] or ends[-1:]
        (low, at_low), (high, at_high) = below[-1], above[0]
    return (low + high) / 2
