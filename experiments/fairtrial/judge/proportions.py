"""Comparisons of binary metrics, unpaired and paired."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairtrial.judge.comparison import Comparison, Interval, ratio_or_zero, shared
from fairtrial.judge.evidence import IntArray, Stratum
from fairtrial.judge.geometry import claims_of
from fairtrial.judge.spec import MetricSpec
from fairtrial.stats.binary import (
    MINIMUM_EVENTS,
    binary_effect,
    binary_interval,
    binary_score,
    expected_events,
)
from fairtrial.stats.paired import (
    MINIMUM_DISCORDANT,
    paired_binary_effect,
    paired_binary_interval,
    paired_binary_score,
)
from fairtrial.stats.score import Effect, Score


class Proportions(Comparison):
    """Two rates. `baseline`, `candidate`: [S, 2] n and events."""

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
        return binary_score(*self._counts, margin=threshold, relative=self.relative, greater=greater)

    def effect(self) -> Effect | None:
        return binary_effect(*self._counts, relative=self.relative)

    def interval(self, critical: float) -> Interval | None:
        return binary_interval(*self._counts, relative=self.relative, critical=critical)

    def shortfall(self) -> str:
        threshold = claims_of(self.metric)[1].threshold
        events = expected_events(*self._counts, margin=threshold, relative=self.relative)
        return (
            f"{MINIMUM_EVENTS:.0f} of the rarer outcome must be expected in the smaller arm; {events:.1f} are"
        )

    def signal(self, threshold: float, effect: float) -> float:
        n0, x0, n1, x1 = (float(each.sum()) for each in self._counts)
        rate = ratio_or_zero(x0 + x1, n0 + n1)
        scale = rate if self.relative else 1.0
        return ratio_or_zero(abs(effect - threshold) * scale, math.sqrt(rate * (1 - rate)))


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
        return paired_binary_score(*self._counts, margin=threshold, relative=self.relative, greater=greater)

    def effect(self) -> Effect | None:
        return paired_binary_effect(*self._counts, relative=self.relative)

    def interval(self, critical: float) -> Interval | None:
        return paired_binary_interval(*self._counts, relative=self.relative, critical=critical)

    def shortfall(self) -> str:
        if not self.compared:
            return "no pair is complete yet"
        differing = int(self._counts[1].sum() + self._counts[2].sum())
        return (
            f"{MINIMUM_DISCORDANT:.0f} pairs on which the arms differ must be expected; of {self.compared:,} "
            f"pairs they differ on {differing}"
        )

    def signal(self, threshold: float, effect: float) -> float:
        n11, n10, n01, n00 = (float(cell.sum()) for cell in self._counts)
        n = n11 + n10 + n01 + n00
        scale = ratio_or_zero(2 * n11 + n10 + n01, 2 * n) if self.relative else 1.0
        return ratio_or_zero(abs(effect - threshold) * scale, math.sqrt(ratio_or_zero(n10 + n01, n)))
