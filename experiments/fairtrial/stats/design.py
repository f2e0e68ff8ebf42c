"""What a boundary costs and what it finds: power, required drift and expected duration.

Of any boundary on a planned grid, given as critical values and information fractions; `drift` is the
expected z at fraction 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from fairtrial.stats.recursion import crossing_probabilities, crossing_probability
from fairtrial.stats.score import FloatArray


@dataclass(frozen=True)
class Duration:
    """When a boundary stops, as information fractions."""

    mean: float  # the last planned fraction counts where the boundary is not crossed
    crossing: float  # probability of crossing at all
    by_look: FloatArray  # [K] probability of having crossed by each look


def design_power(critical: Sequence[float], fractions: Sequence[float], drift: float) -> float:
    """Probability of crossing at any planned look.

    critical: [K] z, inf where a look can reject nothing. fractions: [K] increasing, positive.
    Raises ValueError if the fractions do not increase or the lengths differ.
    """
    return min(max(crossing_probability(critical, fractions, drift), 0.0), 1.0)


def design_duration(critical: Sequence[float], fractions: Sequence[float], drift: float) -> Duration:
    """When the boundary stops. Arguments and errors as in `design_power`."""
    first = crossing_probabilities(critical, fractions, drift)
    reached = np.minimum(np.cumsum(first), 1.0)
    times = np.asarray(fractions, dtype=np.float64)
    mean = float(first @ times + max(1.0 - first.sum(), 0.0) * times[-1])
    return Duration(mean, float(reached[-1]), reached)


def design_drift(critical: Sequence[float], fractions: Sequence[float], power: float) -> float:
    """Expected z at fraction 1 with which the boundary is crossed with this probability.

    Secant steps on the normal quantile of the power, which is nearly linear in the drift.
    Raises ValueError unless the boundary's own level < power < 1.
    """
    level = design_power(critical, fractions, 0.0)
    if not level < power < 1:
        raise ValueError(f"power must lie between the boundary's level {level:.3g} and 1, got {power}")

    def shortfall(drift: float) -> float:
        reached = min(max(design_power(critical, fractions, drift), 1e-300), 1 - 1e-12)
        return float(ndtri(power) - ndtri(reached))

    return _root(shortfall, float(ndtri(power) - ndtri(level)))


def _root(shortfall: Callable[[float], float], drift: float) -> float:
    previous = drift - 0.5
    before, now = shortfall(previous), shortfall(drift)
    for _ in range(20):
        if abs(now) < 1e-8 or now == before:
            break
        previous, drift = drift, drift - now * (drift - previous) / (now - before)
        before, now = now, shortfall(drift)
    return drift
