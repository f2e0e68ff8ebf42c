"""The default boundary: a one-sided normal mixture, calibrated to the looks that are planned.

Robbins' mixture over a half-normal drift has a curved boundary that stops early for large effects and
costs little for the planned one. Its textbook level (Ville's inequality at 1/alpha) pays for looks that
never happen; here the nominal level is raised until the crossing probability over the planned looks is
exactly alpha.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import TypeAlias

import numpy as np
from scipy.special import log_ndtr, ndtri

from fairtrial.stats.recursion import SubDensity, crossing_probabilities, crossing_probability
from fairtrial.stats.score import FloatArray

_DRIFT_STEPS = 8  # a doubling of the drift; calibrations are shared within 4.4% of it, which costs nothing
_DRIFT_RANGE = (1.0, 32.0)
_NEGLIGIBLE = 1e-11  # probability below which a look is not worth a boundary
SHARED_LOOKS = 512
LAST_LOOKS_BYTES = 32 << 20  # of two thousand claims at the end of 240 looks, 16 kB each
_DISBELIEF = 4.0

_Key: TypeAlias = tuple[float, float, int, bytes]  # alpha, drift, planned looks, and which looks were made


@dataclass(frozen=True)
class SequentialMixture:
    """A look at fraction t crosses when M(t) >= 1/a, with S = Z sqrt(t), tau^2 = 2 drift^2 and

        M(t) = 2 / sqrt(1 + tau^2 t) * exp(tau^2 S^2 / (2 (1 + tau^2 t))) * Phi(tau S / sqrt(1 + tau^2 t)),

    where `a` gives the total crossing probability `alpha` over `planned_looks` equally spaced looks up to
    t = 1. Looks elsewhere spend what the planned boundary has spent by then (linear between planned looks).

    alpha: one-sided rate, in (0, 0.5].
    drift: expected z at t = 1 under the planned effect; rounded to 2^(k/8) and kept within 1 and 32, so
        that runs share calibrations. A wrong drift costs power, never level.
    planned_looks: at least 1.
    Raises ValueError outside these ranges.
    """

    alpha: float
    drift: float
    planned_looks: int

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 0.5:
            raise ValueError(f"alpha must be in (0, 0.5], got {self.alpha}")
        if not self.drift > 0:
            raise ValueError(f"drift must be positive, got {self.drift}")
        if self.planned_looks < 1:
            raise ValueError(f"at least one look must be planned, got {self.planned_looks}")

    @property
    def planned_fractions(self) -> FloatArray:
        """[planned_looks] equally spaced, the last one 1."""
        return _planned_fractions(self.planned_looks)

    @property
    def planned_critical(self) -> FloatArray:
        """[planned_looks] critical z on the planned grid."""
        return self._calibration.critical

    @property
    def _calibration(self) -> _Calibration:
        return _calibrate(self.alpha, round_drift(self.drift), self.planned_looks)

    def spent(self, fraction: float) -> float:
        """Probability of having crossed by this information fraction: the spending function."""
        table = self._calibration
        place = min(max(fraction, 0.0), 1.0) * self.planned_looks
        before = min(int(place), self.planned_looks - 1)
        low = float(table.spent[before - 1]) if before else 0.0
        return low + (place - before) * (float(table.spent[before]) - low)

    def critical(self, fractions: Sequence[float], variances: Sequence[float] | None = None) -> float:
        """Critical z at the last of these looks. See `Boundary`.

        `inf` at a look that comes less than a ninth of a planned interval after the one before, or has
        next to nothing to spend; what it did not spend is left for the next.
        """
        if len(fractions) == 0:
            raise ValueError("there has been no look yet")
        looks = np.empty((len(fractions), 2))  # fraction and time
        looks[:] = np.asarray(fractions, dtype=np.float64)[:, None]
        if not (looks.min() > 0 and looks.max() <= 1):
            raise ValueError(f"information fractions must lie in (0, 1], got {list(fractions)}")
        if variances is not None and variances[0] > 0:
            # an early variance is noisy: a scale that it puts far off the fractions is not believed
            unit = looks[0, 0] / variances[0]
            looks[:, 1] = np.clip(
                np.asarray(variances) * unit, looks[:, 0] / _DISBELIEF, looks[:, 0] * _DISBELIEF
            )
        return self._progress(looks).critical

    def p_value(self, fractions: Sequence[float], zs: Sequence[float]) -> float | None:
        """Probability, if the claim does not hold, that a planned look shows as large a mixture as was seen.

        At most alpha exactly when the boundary has been crossed (where irregular looks would blur that
        equivalence it is kept by clipping). None before the first look.
        """
        if len(fractions) == 0:
            return None
        drift = round_drift(self.drift)
        t = np.asarray(fractions, dtype=np.float64)
        z = np.asarray(zs, dtype=np.float64)
        log_nominal = -float(log_mixture(t, z, drift).max())
        p = min(1.0, math.exp(log_nominal))
        if p > 1e-12:
            planned = self.planned_fractions
            critical = mixture_critical(planned, drift, log_nominal)
            p = min(p, float(crossing_probabilities(list(critical), list(planned)).sum()))
        crossed = any(z[k] >= self.critical(fractions[: k + 1]) for k in range(len(z)))
        return min(p, self.alpha) if crossed else max(p, math.nextafter(self.alpha, 1.0))

    def _progress(self, looks: FloatArray) -> _Progress:
        """State after looks [n, 2] at these fractions and times, from the longest prefix still remembered."""
        known = len(looks)
        progress: _Progress | None = None
        while known > 0 and progress is None:
            progress = _remembered.get(self._key(looks[:known]))
            known -= progress is None
        if progress is None:
            increment = 1 / self.planned_looks
            progress = _Progress(SubDensity.start(math.sqrt(increment) / 12), increment / 9, 0.0, math.inf)
        for k in range(known, len(looks)):
            fraction, time = (float(value) for value in looks[k])
            progress = progress.look(time, self.spent(fraction))
            _remembered.put(self._key(looks[: k + 1]), progress, self._key(looks[:k]))
        return progress

    def _key(self, looks: FloatArray) -> _Key:
        digest = hashlib.blake2b(looks.tobytes(), digest_size=16).digest()
        return self.alpha, round_drift(self.drift), self.planned_looks, digest


@dataclass(frozen=True)
class _Progress:
    """What the recursion carries from look to look, at the looks that were really made."""

    density: SubDensity
    least_increment: float
    spent: float
    critical: float  # at the last look

    @property
    def size(self) -> int:
        """Bytes, about."""
        return self.density.masses.nbytes + 1000

    def look(self, time: float, allowed: float) -> _Progress:
        """After a look at `time` on the scale of the variance, by which `allowed` may have been spent."""
        target = allowed - self.spent
        if time - self.density.fraction < self.least_increment or target < _NEGLIGIBLE:
            return _Progress(self.density, self.least_increment, self.spent, math.inf)
        boundary = self.density.solve(time, target)
        after = self.density.after(time, boundary)
        return _Progress(after, self.least_increment, allowed, boundary / math.sqrt(time))


class Remembered:
    """Looks of the runs of this process; each is used by the look after it.

    The last look of each run is kept, however many there are, and of all looks the newest, which runs that
    look at the same fractions share.
    """

    def __init__(self, looks: int, size: int) -> None:
        """looks: how many of the newest. size: bytes that the last ones may take."""
        self._looks = looks
        self._left = size
        self._newest: dict[_Key, _Progress] = {}
        self._last: dict[_Key, _Progress] = {}
        self._lock = Lock()

    def get(self, key: _Key) -> _Progress | None:
        return self._newest.get(key) or self._last.get(key)

    def put(self, key: _Key, progress: _Progress, before: _Key) -> None:
        """before: of the look before this one, which is the run's last no longer."""
        with self._lock:
            self._newest[key] = progress
            if len(self._newest) > self._looks:
                del self._newest[next(iter(self._newest))]
            self._forget(before)
            self._forget(key)
            self._last[key] = progress
            self._left -= progress.size
            while self._left < 0 and len(self._last) > 1:
                self._forget(next(iter(self._last)))

    def _forget(self, key: _Key) -> None:
        found = self._last.pop(key, None)
        if found is not None:
            self._left += found.size


_remembered = Remembered(SHARED_LOOKS, LAST_LOOKS_BYTES)


def round_drift(drift: float) -> float:
    """The nearest 2^(k/8) within 1 and 32."""
    low, high = _DRIFT_RANGE
    clamped = min(max(drift, low), high)
    return 2.0 ** (round(_DRIFT_STEPS * math.log2(clamped)) / _DRIFT_STEPS)


def log_mixture(fractions: FloatArray, zs: FloatArray, drift: float) -> FloatArray:
    """Natural log of M(t) at these statistics; the formula is in `SequentialMixture`."""
    spread = 2 * drift * drift * fractions
    u = zs * np.sqrt(spread / (1 + spread))
    return math.log(2) - 0.5 * np.log1p(spread) + 0.5 * u * u + log_ndtr(u)


def mixture_critical(fractions: FloatArray, drift: float, log_nominal: float) -> FloatArray:
    """Critical z at which M(t) = exp(-log_nominal), at each fraction.

    Newton's method on u^2 / 2 + log Phi(u), which is convex and increasing, from the right of the root.
    """
    spread = 2 * drift * drift * fractions
    rise = 0.5 * np.log1p(spread) - log_nominal
    u = np.sqrt(2 * np.maximum(rise, 0.0))
    for _ in range(60):
        log_cdf = log_ndtr(u)
        ratio = np.exp(-0.5 * u * u - 0.5 * math.log(2 * math.pi) - log_cdf)
        move = (0.5 * u * u + log_cdf - (rise - math.log(2))) / (u + ratio)
        u = u - move
        if np.max(np.abs(move)) < 1e-13:
            break
    return u * np.sqrt((1 + spread) / spread)


@dataclass(frozen=True)
class _Calibration:
    critical: FloatArray  # [K] z on the planned grid
    spent: FloatArray  # [K] cumulative crossing probability; the last is alpha


def _planned_fractions(planned_looks: int) -> FloatArray:
    return np.arange(1, planned_looks + 1, dtype=np.float64) / planned_looks


@lru_cache(maxsize=256)
def _calibrate(alpha: float, drift: float, planned_looks: int) -> _Calibration:
    """Find the nominal level by secant steps on the logarithms of nominal level and crossing probability."""
    fractions = _planned_fractions(planned_looks)

    def crossing(log_nominal: float) -> FloatArray:
        zs = mixture_critical(fractions, drift, log_nominal)
        return crossing_probabilities(zs.tolist(), fractions.tolist())

    log_alpha = math.log(alpha)
    previous, excess = log_alpha, math.log(crossing(log_alpha).sum()) - log_alpha
    current = previous - excess
    first = crossing(current)
    for _ in range(50):
        excess_now = math.log(first.sum()) - log_alpha
        if abs(excess_now) < 1e-10 or excess_now == excess:
            break
        step = excess_now * (current - previous) / (excess_now - excess)
        previous, excess = current, excess_now
        current -= step
        first = crossing(current)
    spent = np.cumsum(first)
    return _Calibration(mixture_critical(fractions, drift, current), spent * (alpha / spent[-1]))


def power(alpha: float, drift: float, planned_looks: int, true_drift: float | None = None) -> float:
    """Probability that the boundary planned for `drift` is crossed by t = 1.

    true_drift: E[Z] at t = 1; the planned one unless given.
    """
    boundary = SequentialMixture(alpha, drift, planned_looks)
    actual = drift if true_drift is None else true_drift
    first = crossing_probabilities(
        boundary.planned_critical.tolist(), boundary.planned_fractions.tolist(), actual
    )
    return min(float(first.sum()), 1.0)


@lru_cache(maxsize=256)
def required_drift(alpha: float, power: float, planned_looks: int) -> float:
    """Expected z at t = 1 that a claim needs so that the boundary planned for it crosses with `power`.

    Secant steps on the normal quantile of the power, which is nearly linear in the drift; thrice, because the
    boundary is planned for the result.
    Raises ValueError unless alpha < power < 1.
    """
    if not alpha < power < 1:
        raise ValueError(f"power must lie between alpha and 1, got {power}")
    drift = float(ndtri(power) - ndtri(alpha))
    for _ in range(3):
        boundary = SequentialMixture(alpha, drift, planned_looks)
        critical, fractions = boundary.planned_critical.tolist(), boundary.planned_fractions.tolist()

        def shortfall(
            true_drift: float, critical: list[float] = critical, fractions: list[float] = fractions
        ) -> float:
            reached = min(crossing_probability(critical, fractions, true_drift), 1 - 1e-12)
            return float(ndtri(power) - ndtri(reached))

        previous, before, now = drift - 0.5, shortfall(drift - 0.5), shortfall(drift)
        for _ in range(12):
            if abs(now) < 1e-6 or now == before:
                break
            previous, drift = drift, drift - now * (drift - previous) / (now - before)
            before, now = now, shortfall(drift)
    return drift


def expected_fraction(
    alpha: float, drift: float, planned_looks: int, true_drift: float | None = None
) -> float:
    """Mean information fraction at which the boundary planned for `drift` stops; 1 where it is not crossed.

    true_drift: E[Z] at t = 1; the planned one unless given.
    """
    boundary = SequentialMixture(alpha, drift, planned_looks)
    fractions = boundary.planned_fractions
    actual = drift if true_drift is None else true_drift
    first = crossing_probabilities(boundary.planned_critical.tolist(), fractions.tolist(), actual)
    return float(first @ fractions + max(1.0 - first.sum(), 0.0))
