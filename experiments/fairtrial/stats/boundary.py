"""What every stopping rule offers the judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Boundary(Protocol):
    """How large a claim's z must be at a look, given all the looks so far."""

    @property
    def alpha(self) -> float:
        """Probability that a claim which does not hold crosses at any look."""
        ...

    def critical(self, fractions: Sequence[float], variances: Sequence[float] | None = None) -> float:
        """Critical z at the last of these looks; `inf` where the look can reject nothing.

        fractions: information fractions of all looks so far, increasing, in (0, 1]. They say how much of
            alpha may be spent.
        variances: `Score.variance` at the same looks, if known. They say how looks are correlated.
        Raises ValueError if there are none, or if they decrease or leave (0, 1].
        """
        ...

    def p_value(self, fractions: Sequence[float], zs: Sequence[float]) -> float | None:
        """Sequential p-value after these looks with these statistics; None where the rule has none."""
        ...
