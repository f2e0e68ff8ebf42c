"""What every fixed-horizon test hands back."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import ndtri


@dataclass(frozen=True)
class FixedTest:
    """name: of the test, as in textbooks. p_value: one-sided, in [0, 1]. interval: two-sided, of the effect
    (a difference, or a ratio minus 1 when relative), where the method has one.
    """

    name: str
    p_value: float
    interval: tuple[float, float] | None = None


def normal_quantile(level: float) -> float:
    """The z of a two-sided interval: 1.96 at 0.95. Raises ValueError unless 0 < level < 1."""
    return -float(ndtri(tail(level)))


def tail(level: float) -> float:
    """What each end of a two-sided interval leaves out. Raises ValueError unless 0 < level < 1."""
    if not 0 < level < 1:
        raise ValueError(f"a confidence level must lie between 0 and 1, got {level}")
    return (1 - level) / 2
