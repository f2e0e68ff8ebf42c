"""The group sequential boundary: a few planned tests, each spending its part of the rate.

Lan and DeMets (1983). The evidence is looked at all the time; it is tested only when another planned
fraction of the information has been passed, at whatever fraction it then has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairtrial.stats.score import FloatArray
from fairtrial.stats.spending import (
    NEGLIGIBLE,
    Analysis,
    SpendingFunction,
    obrien_fleming_spending,
    spending_critical,
    variance_times,
)

#: Grid steps in the root of a planned interval, and the shortest part of one that is tested: a quarter of
#: the root of that part is a step.
_STEPS, _SHORTEST = 48, 144


@dataclass(frozen=True)
class GroupSequential:
    """A look is a test if floor(planned_looks * fraction) has grown since the last test; no other look can
    reject anything.

    Which looks are tests depends on the fractions alone, and not on whether those that are none are handed in
    as well. A test that comes less than 1/144 of a planned interval after the one before, or that has next to
    nothing to spend (below 1e-11), is put off to the next look. If the looks come at planned fractions the
    boundary is the textbook's.

    alpha: one-sided rate, in (0, 0.5].
    planned_looks: K, at least 1; tests are planned at 1/K, 2/K, ..., 1.
    spending: what may be spent by a fraction, see `spending`.
    Raises ValueError outside these ranges.
    """

    alpha: float
    planned_looks: int = 5
    spending: SpendingFunction = obrien_fleming_spending

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 0.5:
            raise ValueError(f"alpha must be in (0, 0.5], got {self.alpha}")
        if self.planned_looks < 1:
            raise ValueError(f"at least one look must be planned, got {self.planned_looks}")

    @property
    def planned_fractions(self) -> FloatArray:
        """[planned_looks] equally spaced, the last one 1."""
        return np.arange(1, self.planned_looks + 1, dtype=np.float64) / self.planned_looks

    @property
    def planned_critical(self) -> FloatArray:
        """[planned_looks] critical z on the planned grid; inf where there is next to nothing to spend."""
        fractions = self.planned_fractions.tolist()
        return np.array([self.critical(fractions[: k + 1]) for k in range(self.planned_looks)])

    def spent(self, fraction: float) -> float:
        """Probability that may have been used up by this information fraction."""
        return self.spending(self.alpha, fraction)

    def critical(self, fractions: Sequence[float], variances: Sequence[float] | None = None) -> float:
        """Critical z at the last of these looks, `inf` if it is no test. See `Boundary`."""
        tested = self._tested(fractions, variances)
        if not tested or tested[-1][0] != len(fractions) - 1:
            return math.inf
        return spending_critical(tuple(test for _, test in tested), self._step)

    def p_value(self, fractions: Sequence[float], zs: Sequence[float]) -> float | None:
        """The smallest rate at which some test so far would have crossed: alpha inverted.

        Liu and Anderson's (2008) sequential p-value (JASA 103, 1621-1630); valid at every look, and at most
        alpha exactly when the boundary has been crossed. None before the first look; 1 before the first test.
        """
        if len(fractions) == 0:
            return None
        tested = self._tested(fractions, None)
        seen = [float(zs[at]) for at, _ in tested]
        crossed = self._crosses(self.alpha, tested, fractions, seen)
        low, high = (-30.0, math.log(self.alpha)) if crossed else (math.log(self.alpha), 0.0)
        if not crossed and not self._crosses(1 - 1e-9, tested, fractions, seen):
            return 1.0
        while high - low > 1e-4:
            middle = (low + high) / 2
            if self._crosses(math.exp(middle), tested, fractions, seen):
                high = middle
            else:
                low = middle
        p = math.exp(high)
        return min(p, self.alpha) if crossed else max(p, math.nextafter(self.alpha, 1.0))

    @property
    def _step(self) -> float:
        return math.sqrt(1 / self.planned_looks) / _STEPS

    def _tested(
        self, fractions: Sequence[float], variances: Sequence[float] | None
    ) -> list[tuple[int, Analysis]]:
        """Which of the looks are tests."""
        if len(fractions) == 0:
            raise ValueError("there has been no look yet")
        if not all(0 < t <= 1 for t in fractions):
            raise ValueError(f"information fractions must lie in (0, 1], got {list(fractions)}")
        shortest = 1 / (_SHORTEST * self.planned_looks)
        tested: list[tuple[int, Analysis]] = []
        passed, last = 0, Analysis(0.0, 0.0)
        for at, (fraction, time) in enumerate(
            zip(fractions, variance_times(fractions, variances), strict=True)
        ):
            now = math.floor(fraction * self.planned_looks + 1e-9)
            test = Analysis(time, self.spent(fraction))
            if now > passed and time - last.time >= shortest and test.spent - last.spent >= NEGLIGIBLE:
                tested.append((at, test))
                passed, last = now, test
        return tested

    def _crosses(
        self, alpha: float, tested: list[tuple[int, Analysis]], fractions: Sequence[float], zs: list[float]
    ) -> bool:
        """Whether any of these tests crosses if the rate is alpha."""
        tests = tuple(Analysis(test.time, self.spending(alpha, float(fractions[at]))) for at, test in tested)
        return any(z >= spending_critical(tests[: k + 1], self._step) for k, z in enumerate(zs))
