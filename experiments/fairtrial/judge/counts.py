"""Comparison of the rates of events of two arms."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairtrial.judge.comparison import Comparison, Interval, clumping, ratio_or_zero, shared
from fairtrial.judge.evidence import IntArray, Stratum
from fairtrial.judge.geometry import claims_of
from fairtrial.judge.spec import MetricSpec
from fairtrial.stats.binary import MINIMUM_EVENTS
from fairtrial.stats.counts import (
    count_contributions,
    count_effect,
    count_interval,
    count_score,
    expected_events,
)
from fairtrial.stats.e_process import poisson_log_e
from fairtrial.stats.fixed.poisson import conditional_poisson
from fairtrial.stats.fixed.result import FixedTest
from fairtrial.stats.score import Contributions, Effect, Score


class Counts(Comparison):
    """Two rates of events. `baseline`, `candidate`: [S, 2] observations (or units) and events.

    Events come in clumps more often than not, so that their scatter is always measured by time batches.
    """

    _batch_reason = "events may come in clumps"

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

    def score(self, threshold: float, *, greater: bool) -> Score | None:
        if self.inflation is None:
            return None
        return count_score(
            *self._counts,
            margin=threshold,
            relative=self.relative,
            greater=greater,
            inflation=self.inflation,
        )

    def fixed(self, threshold: float, *, greater: bool, level: float) -> FixedTest | None:
        if self.inflation != 1.0 or not self.relative:
            return super().fixed(threshold, greater=greater, level=level)
        return conditional_poisson(*self._counts, margin=threshold, greater=greater, level=level)

    def log_e(self, threshold: float, *, greater: bool) -> float | None:
        if self.inflation != 1.0 or not self.relative:
            return None
        return float(poisson_log_e(*self._counts, margin=threshold, greater=greater))

    def effect(self) -> Effect | None:
        return count_effect(*self._counts, relative=self.relative, inflation=self.inflation or 1.0)

    def interval(self, critical: float) -> Interval | None:
        return count_interval(
            *self._counts, relative=self.relative, critical=critical, inflation=self.inflation or 1.0
        )

    def shortfall(self) -> str:
        threshold = claims_of(self.metric)[1].threshold
        events = expected_events(*self._counts, margin=threshold, relative=self.relative)
        events /= self.inflation or 1.0
        if events < MINIMUM_EVENTS:
            return f"{MINIMUM_EVENTS:.0f} events must be expected in the smaller arm; {events:.1f} are"
        return self._batch_shortfall() or "the arms have too few requests in the same time batches"

    def signal(self, threshold: float, effect: float) -> float:
        n0, x0, n1, x1 = (float(each.sum()) for each in self._counts)
        rate = ratio_or_zero(x0 + x1, n0 + n1)
        scale = rate if self.relative else 1.0
        noise = math.sqrt(rate * (self.inflation or 1.0))
        return ratio_or_zero(abs(effect - threshold) * scale, noise)

    def _contributions(self) -> Contributions:
        return count_contributions(*self._counts, relative=self.relative)

    def _clumping(self) -> float:
        _, x0, _, x1 = self._counts
        return clumping(self._strata, x0 + x1)
