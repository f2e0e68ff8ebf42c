"""Crossing probabilities of a one-sided boundary, by the recursion of Armitage, McPherson and Rowe.

With Z_k the statistic at information fraction t_k, S_k = Z_k sqrt(t_k) is a Brownian motion seen at the
looks: independent normal increments of variance t_k - t_(k-1). The sub-density of S_k on "not crossed so
far" is the previous one convolved with the increment's density, cut at the boundary (Armitage, McPherson
and Rowe, 1969, JRSS A 132). Here each sub-density lives on an equally spaced grid that hangs from its
own boundary, so that a step is one short discrete convolution; Gregory's end corrections restore high
order at the cut.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from fairtrial.stats.score import FloatArray

_GREGORY = (1 / 12, -1 / 24, 19 / 720, -3 / 160, 863 / 60480)
_REACH = 8.3  # standard deviations beyond which a normal tail (5e-17) is no longer carried


def _end_weights() -> FloatArray:
    """Quadrature weights of the first points beside a cut: trapezoid plus Gregory's differences."""
    weights = np.ones(len(_GREGORY) + 1)
    weights[0] = 0.5
    for order, coefficient in enumerate(_GREGORY, start=1):
        difference = [coefficient * (-1) ** (order - i) * math.comb(order, i) for i in range(order + 1)]
        weights[: order + 1] += difference
    return weights


_END_WEIGHTS = _end_weights()


@dataclass(frozen=True)
class SubDensity:
    """Distribution of S at a look, on the event that no boundary has been crossed, under drift 0.

    fraction: information fraction t of the look; 0 before the first, where S = 0.
    top: the boundary at that look on the scale of S.
    masses: [n] probability at top, top - step, top - 2 step, ... (density times quadrature weight).
    """

    fraction: float
    top: float
    step: float
    masses: FloatArray

    @classmethod
    def start(cls, step: float) -> SubDensity:
        """Before any look; `step` is the spacing of the grid, at most a quarter of an increment's root."""
        return cls(fraction=0.0, top=0.0, step=step, masses=np.ones(1))

    @property
    def points(self) -> FloatArray:
        """[n] where the masses are."""
        return self.top - self.step * np.arange(self.masses.size, dtype=np.float64)

    def crossing(self, fraction: float, boundary: float, drift: float = 0.0) -> float:
        """Probability of S >= boundary first at `fraction`, when E[S] = drift * fraction."""
        increment = fraction - self.fraction
        points = self.points
        tail = ndtr((points + drift * increment - boundary) / math.sqrt(increment))
        if drift == 0.0:
            return float(self.masses @ tail)
        # Girsanov's theorem: the recursion under drift 0 serves any drift
        tilt = np.exp(drift * points - drift * drift * self.fraction / 2)
        return float((self.masses * tilt) @ tail)

    def after(self, fraction: float, boundary: float) -> SubDensity:
        """The sub-density after a look at `fraction` with this boundary."""
        sd = math.sqrt(fraction - self.fraction)
        size = max(math.ceil((boundary + _REACH * math.sqrt(fraction)) / self.step), _END_WEIGHTS.size) + 1
        if self.masses.size == 1:
            density = _normal(boundary - self.step * np.arange(size, dtype=np.float64), sd)
        else:
            lowest = math.ceil(-(_REACH * sd + boundary - self.top) / self.step)
            highest = math.floor((_REACH * sd - boundary + self.top) / self.step)
            kernel = _normal(
                boundary - self.top + self.step * np.arange(lowest, highest + 1, dtype=np.float64), sd
            )
            # density[i] = sum over m of masses[i + m] kernel[m]; position 0 of the product is i = -highest
            product = np.convolve(self.masses, kernel[::-1])
            density = np.zeros(size)
            first = max(-highest, 0)
            start = max(highest, 0)
            length = max(min(size - first, product.size - start), 0)
            density[first : first + length] = product[start : start + length]
        density *= self.step
        density[: _END_WEIGHTS.size] *= _END_WEIGHTS
        return SubDensity(fraction=fraction, top=boundary, step=self.step, masses=density)

    def solve(self, fraction: float, target: float) -> float:
        """The boundary (scale of S) whose crossing probability at `fraction` is `target`.

        Newton's method on the logarithm, kept inside a bracket. Raises ValueError if even -inf would not
        cross that often.
        """
        if target >= float(self.masses.sum()):
            raise ValueError("more than the remaining probability cannot cross")
        sd = math.sqrt(fraction - self.fraction)
        points = self.points
        low = -_REACH * math.sqrt(fraction)
        high = -low
        guess = min(max(self.top, low), high) if self.fraction else 2 * math.sqrt(fraction)
        for _ in range(100):
            # points hang from the top: those further below the guess than a normal reaches add nothing
            near = max(math.ceil((self.top - guess + _REACH * sd) / self.step) + 1, 1)
            masses, above = self.masses[:near], points[:near] - guess
            tail = float(masses @ ndtr(above / sd))
            slope = float(masses @ _normal(above, sd))
            if tail > target:
                low = guess
            else:
                high = guess
            if abs(tail - target) <= 1e-10 * target or high - low < 1e-12:
                break
            newton = guess + math.log(tail / target) * tail / slope if tail > 0 and slope > 0 else math.nan
            guess = newton if low < newton < high else (low + high) / 2
        return guess


def _normal(deviation: FloatArray, sd: float) -> FloatArray:
    return np.exp(-0.5 * (deviation / sd) ** 2) / (sd * math.sqrt(2 * math.pi))


def crossing_probabilities(zs: Sequence[float], fractions: Sequence[float], drift: float = 0.0) -> FloatArray:
    """[K] probability of first crossing at each look.

    zs: [K] critical values; inf at a look that can reject nothing. fractions: [K] increasing, positive.
    drift: E[Z] at t = 1.
    Raises ValueError if the fractions do not increase or the lengths differ.
    """
    looks = [(t, z) for t, z in zip(fractions, zs, strict=True) if z < math.inf]
    increments = np.diff([0.0, *(t for t, _ in looks)])
    if np.any(increments <= 0):
        raise ValueError("information fractions must increase")
    first = np.zeros(len(zs))
    if not looks:
        return first
    state = SubDensity.start(math.sqrt(float(increments.min())) / 6)
    for k, (t, z) in enumerate(zip(fractions, zs, strict=True)):
        if z < math.inf:
            boundary = z * math.sqrt(t)
            first[k] = state.crossing(t, boundary, drift)
            state = state.after(t, boundary)
    return first


def crossing_probability(zs: Sequence[float], fractions: Sequence[float], drift: float = 0.0) -> float:
    """Probability of crossing at any of the looks; see `crossing_probabilities`."""
    return float(crossing_probabilities(zs, fractions, drift).sum())
