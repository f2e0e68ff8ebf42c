"""Comparison of the rates of events of two arms."""

from __future__ import annotations

import math

from fairtrial.judge.comparison import Interval, ratio_or_zero
from fairtrial.judge.geometry import claims_of
from fairtrial.judge.two_counts import TwoCounts
from fairtrial.stats.binary import MINIMUM_EVENTS
from fairtrial.stats.counts import (
    count_contributions,
    count_drift,
    count_effect,
    count_interval,
    count_score,
    expected_events,
)
from fairtrial.stats.e_process import poisson_log_e
from fairtrial.stats.fixed.poisson import conditional_poisson
from fairtrial.stats.fixed.result import FixedTest
from fairtrial.stats.score import Contributions, Effect, Score


class Counts(TwoCounts):
    """Two rates of events. `baseline`, `candidate`: [S, 2] observations (or units) and events.

    Events come in clumps more often than not, so that their scatter is always measured by time batches.
    """

    _batch_reason = "events may come in clumps"

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

    def drift(self, threshold: float, effect: float, share: float) -> float:
        n0, x0, n1, x1 = (float(each.sum()) for each in self._counts)
        rate = ratio_or_zero(x0 + x1, n0 + n1)
        drift = count_drift(rate, effect, share, margin=threshold, relative=self.relative)
        return drift / math.sqrt(self.inflation or 1.0)

    def _contributions(self) -> Contributions:
        return count_contributions(*self._counts, relative=self.relative)
