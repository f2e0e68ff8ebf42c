"""The boundary without a horizon: a one-sided normal mixture at its textbook level.

Robbins' (1970) mixture is a martingale if the claim's effect is at its margin, and below one if it is on the
wrong side; by Ville's inequality it ever exceeds 1/alpha with probability at most alpha. For statistics that
are normal in large samples, with an estimated variance, that holds in large samples too: it is the one-sided
asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024, Annals of Statistics
52, 2613-2640).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairtrial.stats.mixture import log_mixture, mixture_critical
from fairtrial.stats.score import FloatArray
from fairtrial.stats.spending import variance_times


@dataclass(frozen=True)
class AlwaysValid:
    """A look at fraction t crosses when M(t) >= 1 / alpha, with M as in `SequentialMixture`.

    t may exceed 1: it is the information over that at which `drift` is expected, and no maximum. The
    mixture's variance is twice the squared drift, as in the default boundary. At a base rate of 10%, planned
    for 12% at alpha 5%, a decision takes 1.23 times the oracle's requests at 12% and 1.46 times at 15%;
    planned for anything from half to twice that drift, at most 1.35 and 1.93 times.

    alpha: one-sided rate, in (0, 0.5].
    drift: expected z at t = 1 under the planned effect; positive. A wrong drift costs power, never level.
    Raises ValueError outside these ranges.
    """

    alpha: float
    drift: float

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 0.5:
            raise ValueError(f"alpha must be in (0, 0.5], got {self.alpha}")
        if not 0 < self.drift < math.inf:
            raise ValueError(f"drift must be positive, got {self.drift}")

    def critical(self, fractions: Sequence[float], variances: Sequence[float] | None = None) -> float:
        """Critical z at the last of these looks; it does not depend on the ones before. See `Boundary`.

        fractions: positive, of any size. Raises ValueError if there are none, or one is not positive.
        """
        times = np.array(variance_times(_checked(fractions), variances)[-1:])
        return float(mixture_critical(times, self.drift, math.log(self.alpha))[0])

    def criticals(self, fractions: Sequence[float]) -> FloatArray:
        """[K] critical z at each of these fractions; what `design` asks for."""
        return mixture_critical(np.array(_checked(fractions)), self.drift, math.log(self.alpha))

    def p_value(self, fractions: Sequence[float], zs: Sequence[float]) -> float | None:
        """The least 1 / M so far, at most 1: valid at every look, at most alpha exactly when one crossed.

        Johari, Koomen, Pekelis and Walsh (2022, Operations Research 70, 1806-1821). None before the first
        look.
        """
        if len(fractions) == 0:
            return None
        levels = log_mixture(np.array(_checked(fractions)), np.asarray(zs, np.float64), self.drift)
        return min(1.0, math.exp(-max(float(levels.max()), 0.0)))


def _checked(fractions: Sequence[float]) -> list[float]:
    if len(fractions) == 0:
        raise ValueError("there has been no look yet")
    if not all(0 < t < math.inf for t in fractions):
        raise ValueError(f"information fractions must be positive, got {list(fractions)}")
    return [float(t) for t in fractions]
