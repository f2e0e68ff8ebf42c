"""The classic rule: one look, when all the data are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import ndtr, ndtri


@dataclass(frozen=True)
class FixedHorizon:
    """Crosses when z is at least the normal quantile of 1 - alpha, at the only look there is.

    alpha: one-sided rate, in (0, 0.5]. Raises ValueError outside it.
    """

    alpha: float

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 0.5:
            raise ValueError(f"alpha must be in (0, 0.5], got {self.alpha}")

    def critical(self, fractions: Sequence[float], variances: Sequence[float] | None = None) -> float:
        """Critical z of the one look. Raises ValueError for a second: its rate has been spent."""
        del variances
        if len(fractions) != 1:
            raise ValueError(f"a fixed horizon has one look, not {len(fractions)}")
        return float(-ndtri(self.alpha))

    def p_value(self, fractions: Sequence[float], zs: Sequence[float]) -> float | None:
        """The one-sided p-value; None before the look."""
        del fractions
        return float(ndtr(-zs[-1])) if zs else None
