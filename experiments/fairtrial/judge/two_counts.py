"""What comparisons of counted events have in common, be they yes or no or any number of them."""

from __future__ import annotations

from collections.abc import Sequence

from fairtrial.judge.comparison import Comparison, clumping, shared
from fairtrial.judge.evidence import IntArray, Stratum
from fairtrial.judge.spec import MetricSpec


class TwoCounts(Comparison):
    """`baseline`, `candidate`: [S, 2] observations (or units) and events."""

    def __init__(
        self, metric: MetricSpec, strata: Sequence[Stratum], baseline: IntArray, candidate: IntArray
    ) -> None:
        super().__init__(metric, strata)
        self._counts = tuple(
            arm[:, column].astype(float) for arm in (baseline, candidate) for column in (0, 1)
        )

    @property
    def sizes(self) -> tuple[int, int]:
        n0, _, n1, _ = self._counts
        return int(n0.sum()), int(n1.sum())

    @property
    def compared(self) -> int:
        n0, _, n1, _ = self._counts
        return shared(n0, n1)

    def _clumping(self) -> float:
        _, x0, _, x1 = self._counts
        return clumping(self._strata, x0 + x1)
