"""Comparisons of binary metrics, unpaired and paired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fairtrial.judge.comparison import Comparison, Interval, clumping, damped, ratio_or_zero, widened
from fairtrial.judge.evidence import IntArray, Stratum
from fairtrial.judge.geometry import claims_of, is_latency
from fairtrial.judge.spec import MetricSpec
from fairtrial.judge.two_counts import TwoCounts
from fairtrial.stats.binary import (
    MINIMUM_EVENTS,
    binary_drift,
    binary_effect,
    binary_interval,
    binary_score,
    expected_events,
)
from fairtrial.stats.e_process import discordant_log_e
from fairtrial.stats.exceedance import exceedance_contributions
from fairtrial.stats.fixed.fisher import fisher_exact
from fairtrial.stats.fixed.mcnemar import mcnemar_exact
from fairtrial.stats.fixed.newcombe import newcombe_interval, newcombe_paired_interval
from fairtrial.stats.fixed.result import FixedTest
from fairtrial.stats.fixed.score_test import score_test
from fairtrial.stats.paired import (
    MINIMUM_DISCORDANT,
    paired_binary_drift,
    paired_binary_effect,
    paired_binary_interval,
    paired_binary_score,
)
from fairtrial.stats.paired_mean import paired_mean_contributions
from fairtrial.stats.score import Contributions, Effect, Score


class Proportions(TwoCounts):
    """Two rates. `baseline`, `candidate`: [S, 2] n and events."""

    def score(self, threshold: float, *, greater: bool) -> Score | None:
        if self.inflation is None or self._expected(threshold) < MINIMUM_EVENTS:
            return None
        score = binary_score(*self._counts, margin=threshold, relative=self.relative, greater=greater)
        return damped(score, self.inflation)

    def fixed(self, threshold: float, *, greater: bool, level: float) -> FixedTest | None:
        if not self._is_simple or min(self.sizes) == 0:
            return super().fixed(threshold, greater=greater, level=level)
        n0, x0, n1, x1 = (float(each.sum()) for each in self._counts)
        if threshold == 0 and self._expected(0.0) < MINIMUM_EVENTS:
            test = fisher_exact(n0, x0, n1, x1, greater=greater)
        else:
            test = score_test(
                n0, x0, n1, x1, margin=threshold, relative=self.relative, greater=greater, level=level
            )
        if self.relative:
            return test
        return replace(test, interval=newcombe_interval(n0, x0, n1, x1, level=level))

    def effect(self) -> Effect | None:
        return widened(binary_effect(*self._counts, relative=self.relative), self.inflation or 1.0)

    def interval(self, critical: float) -> Interval | None:
        wide = critical * math.sqrt(self.inflation or 1.0)
        return binary_interval(*self._counts, relative=self.relative, critical=wide)

    def shortfall(self) -> str:
        threshold = claims_of(self.metric)[1].threshold
        if (events := self._expected(threshold)) >= MINIMUM_EVENTS and (short := self._batch_shortfall()):
            return short
        return (
            f"{MINIMUM_EVENTS:.0f} of the rarer outcome must be expected in the smaller arm; {events:.1f} are"
        )

    def signal(self, threshold: float, effect: float) -> float:
        n0, x0, n1, x1 = (float(each.sum()) for each in self._counts)
        rate = ratio_or_zero(x0 + x1, n0 + n1)
        scale = rate if self.relative else 1.0
        noise = math.sqrt(rate * (1 - rate) * (self.inflation or 1.0))
        return ratio_or_zero(abs(effect - threshold) * scale, noise)

    def drift(self, threshold: float, effect: float, share: float) -> float:
        n0, x0, n1, x1 = (float(each.sum()) for each in self._counts)
        rate = ratio_or_zero(x0 + x1, n0 + n1)
        drift = binary_drift(rate, effect, share, margin=threshold, relative=self.relative)
        return drift / math.sqrt(self.inflation or 1.0)

    def _expected(self, threshold: float) -> float:
        """Events expected in the smaller arm, less what serial correlation makes of them."""
        events = expected_events(*self._counts, margin=threshold, relative=self.relative)
        return events / (self.inflation or 1.0)

    def _contributions(self) -> Contributions | None:
        return exceedance_contributions(*self._counts) if is_latency(self.metric) else None


class PairedProportions(Comparison):
    """Two rates on the same rows. `pairs`: [S, 4] counts of 11, 10, 01, 00."""

    def __init__(self, metric: MetricSpec, strata: Sequence[Stratum], pairs: IntArray) -> None:
        super().__init__(metric, strata)
        self._counts = tuple(pairs[:, cell].astype(float) for cell in range(4))

    @property
    def sizes(self) -> tuple[int, int]:
        return self.compared, self.compared

    @property
    def compared(self) -> int:
        return int(sum(float(cell.sum()) for cell in self._counts))

    def score(self, threshold: float, *, greater: bool) -> Score | None:
        if self.inflation is None:
            return None
        score = paired_binary_score(*self._counts, margin=threshold, relative=self.relative, greater=greater)
        return damped(score, self.inflation)

    def fixed(self, threshold: float, *, greater: bool, level: float) -> FixedTest | None:
        if self.inflation != 1.0 or not self.compared:
            return super().fixed(threshold, greater=greater, level=level)
        n11, n10, n01, n00 = (float(cell.sum()) for cell in self._counts)
        test = (
            mcnemar_exact(n10, n01, greater=greater)
            if threshold == 0
            else super().fixed(threshold, greater=greater, level=level)
        )
        if test is None or self.relative:
            return test
        return replace(test, interval=newcombe_paired_interval(n11, n10, n01, n00, level=level))

    def log_e(self, threshold: float, *, greater: bool) -> float | None:
        if threshold != 0 or self.inflation != 1.0:
            return None
        _, n10, n01, _ = (float(cell.sum()) for cell in self._counts)
        return float(discordant_log_e(n10, n01, greater=greater))

    def effect(self) -> Effect | None:
        return widened(paired_binary_effect(*self._counts, relative=self.relative), self.inflation or 1.0)

    def interval(self, critical: float) -> Interval | None:
        wide = critical * math.sqrt(self.inflation or 1.0)
        return paired_binary_interval(*self._counts, relative=self.relative, critical=wide)

    def shortfall(self) -> str:
        if not self.compared:
            return "no pair is complete yet"
        if short := self._batch_shortfall():
            return short
        differing = int(self._counts[1].sum() + self._counts[2].sum())
        return (
            f"{MINIMUM_DISCORDANT:.0f} pairs on which the arms differ must be expected; of {self.compared:,} "
            f"pairs they differ on {differing}"
        )

    def signal(self, threshold: float, effect: float) -> float:
        n11, n10, n01, n00 = (float(cell.sum()) for cell in self._counts)
        n = n11 + n10 + n01 + n00
        scale = ratio_or_zero(2 * n11 + n10 + n01, 2 * n) if self.relative else 1.0
        noise = math.sqrt(ratio_or_zero(n10 + n01, n) * (self.inflation or 1.0))
        return ratio_or_zero(abs(effect - threshold) * scale, noise)

    def drift(self, threshold: float, effect: float, share: float) -> float:
        del share  # a pair has both arms
        cells = (float(cell.sum()) for cell in self._counts)
        drift = paired_binary_drift(*cells, effect=effect, margin=threshold, relative=self.relative)
        return drift / math.sqrt(self.inflation or 1.0)

    def _contributions(self) -> Contributions | None:
        if not is_latency(self.metric):
            return None
        n11, n10, n01, n00 = self._counts
        n = n11 + n10 + n01 + n00
        mean0, mean1 = (np.divide(x, n, out=np.zeros_like(n), where=n > 0) for x in (n11 + n10, n11 + n01))
        squares = n * mean0 * (1 - mean0), n * mean1 * (1 - mean1), n11 - n * mean0 * mean1
        return paired_mean_contributions(n, mean0, mean1, *squares, relative=self.relative)

    def _clumping(self) -> float:
        _, n10, n01, _ = self._counts
        return clumping(self._strata, n10 + n01)
