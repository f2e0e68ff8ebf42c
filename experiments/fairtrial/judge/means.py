"""Comparisons of means: unpaired, adjusted for a covariate, and paired."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairtrial.judge.comparison import Comparison, Interval, ratio_or_zero, shared
from fairtrial.judge.evidence import FloatArray, Stratum
from fairtrial.judge.geometry import is_latency
from fairtrial.judge.spec import MetricSpec
from fairtrial.stats.adjusted import (
    adjusted_contributions,
    adjusted_effect,
    adjusted_interval,
    adjusted_score,
    residual_variance,
)
from fairtrial.stats.fixed.result import FixedTest
from fairtrial.stats.fixed.welch import Sample, welch
from fairtrial.stats.mean import (
    MAXIMUM_SKEWNESS,
    mean_contributions,
    mean_effect,
    mean_interval,
    mean_score,
    pooled_skewness,
)
from fairtrial.stats.paired_mean import (
    paired_mean_contributions,
    paired_mean_effect,
    paired_mean_interval,
    paired_mean_score,
)
from fairtrial.stats.ratio import linearised
from fairtrial.stats.score import Contributions, Effect, Score


class Means(Comparison):
    """Two means. `baseline`, `candidate`: [S, 4] n, mean, M2, M3; symmetric where M3 is not there."""

    def __init__(
        self,
        metric: MetricSpec,
        strata: Sequence[Stratum],
        baseline: FloatArray,
        candidate: FloatArray,
        uncapped: Comparison | None = None,
    ) -> None:
        super().__init__(metric, strata, uncapped)
        self._moments = tuple(arm[:, column] for arm in (baseline, candidate) for column in range(3))
        self._skewness = 0.0
        if baseline.shape[-1] > 3:
            n0, _, m2_0, n1, _, m2_1 = self._moments
            self._skewness = float(pooled_skewness(n0, m2_0, baseline[:, 3], n1, m2_1, candidate[:, 3]))

    @property
    def sizes(self) -> tuple[int, int]:
        return int(self._moments[0].sum()), int(self._moments[3].sum())

    @property
    def compared(self) -> int:
        return shared(self._moments[0], self._moments[3])

    def score(self, threshold: float, *, greater: bool) -> Score | None:
        if self.inflation is None:
            return None
        return mean_score(
            *self._moments,
            margin=threshold,
            relative=self.relative,
            greater=greater,
            inflation=self.inflation,
            skewness=self._skewness,
        )

    def fixed(self, threshold: float, *, greater: bool, level: float) -> FixedTest | None:
        if not self._is_simple:
            return super().fixed(threshold, greater=greater, level=level)
        baseline, candidate = (_pooled(*self._moments[at : at + 3]) for at in (0, 3))
        if min(baseline.n, candidate.n) < 2:
            return None
        return welch(
            baseline, candidate, margin=threshold, relative=self.relative, greater=greater, level=level
        )

    def effect(self) -> Effect | None:
        return mean_effect(
            *self._moments,
            relative=self.relative,
            inflation=self.inflation or 1.0,
            skewness=self._skewness,
        )

    def interval(self, critical: float) -> Interval | None:
        return mean_interval(
            *self._moments,
            relative=self.relative,
            critical=critical,
            inflation=self.inflation or 1.0,
            skewness=self._skewness,
        )

    def shortfall(self) -> str:
        if short := self._batch_shortfall():
            return short
        if self._skewness:
            needed = math.ceil((self._skewness / MAXIMUM_SKEWNESS) ** 2)
            return (
                f"values are skewed ({self._skewness:.1f}), so that about {needed:,} are needed in the "
                f"smaller arm for its mean to be nearly normal; there are {self.compared:,}"
            )
        return "each arm needs two values in one time batch"

    def signal(self, threshold: float, effect: float) -> float:
        n0, mean0, m0, n1, mean1, m1 = self._moments
        n = float((n0 + n1).sum())
        scale = ratio_or_zero(float((n0 * mean0 + n1 * mean1).sum()), n) if self.relative else 1.0
        variance = ratio_or_zero(float((m0 + m1).sum()), n) * (self.inflation or 1.0)
        return ratio_or_zero(abs((effect - threshold) * scale), math.sqrt(variance))

    def drift(self, threshold: float, effect: float, share: float) -> float:
        return self.signal(threshold, effect) / scaling(threshold, effect, share, relative=self.relative)

    def _contributions(self) -> Contributions | None:
        if not is_latency(self.metric):
            return None
        return mean_contributions(*self._moments, relative=self.relative)


class AdjustedMeans(Comparison):
    """Two means, or ratios, adjusted for a covariate known beforehand. `baseline`, `candidate`: [S, 6] joint
    moments of value and covariate, or [S, 10] of numerator, denominator and covariate.
    """

    def __init__(
        self,
        metric: MetricSpec,
        strata: Sequence[Stratum],
        baseline: FloatArray,
        candidate: FloatArray,
        uncapped: Comparison | None = None,
    ) -> None:
        super().__init__(metric, strata, uncapped)
        self._sizes = baseline[:, 0], candidate[:, 0]
        self._arms = linearised(baseline, candidate) if baseline.shape[-1] == 10 else (baseline, candidate)

    @property
    def sizes(self) -> tuple[int, int]:
        return int(self._sizes[0].sum()), int(self._sizes[1].sum())

    @property
    def compared(self) -> int:
        return shared(*self._sizes)

    def score(self, threshold: float, *, greater: bool) -> Score | None:
        if self.inflation is None:
            return None
        return adjusted_score(
            *self._arms, margin=threshold, relative=self.relative, greater=greater, inflation=self.inflation
        )

    def effect(self) -> Effect | None:
        return adjusted_effect(*self._arms, relative=self.relative, inflation=self.inflation or 1.0)

    def interval(self, critical: float) -> Interval | None:
        return adjusted_interval(
            *self._arms, relative=self.relative, critical=critical, inflation=self.inflation or 1.0
        )

    def shortfall(self) -> str:
        return self._batch_shortfall() or "each arm needs two values in one time batch"

    def signal(self, threshold: float, effect: float) -> float:
        n = sum(float(arm[:, 0].sum()) for arm in self._arms)
        total = sum(float((arm[:, 0] * arm[:, 1]).sum()) for arm in self._arms)
        scale = ratio_or_zero(total, n) if self.relative else 1.0
        variance = residual_variance(*self._arms) * (self.inflation or 1.0)
        return ratio_or_zero(abs((effect - threshold) * scale), math.sqrt(variance))

    def drift(self, threshold: float, effect: float, share: float) -> float:
        return self.signal(threshold, effect) / scaling(threshold, effect, share, relative=self.relative)

    def _contributions(self) -> Contributions | None:
        if not is_latency(self.metric) or self.metric.by_unit:
            return None
        return adjusted_contributions(*self._arms, relative=self.relative)


class PairedMeans(Comparison):
    """Two means on the same rows. `pairs`: [S, 6] n, both means, both M2, cross-products."""

    def __init__(
        self,
        metric: MetricSpec,
        strata: Sequence[Stratum],
        pairs: FloatArray,
        uncapped: Comparison | None = None,
    ) -> None:
        super().__init__(metric, strata, uncapped)
        self._moments = tuple(pairs[:, column] for column in range(6))

    @property
    def sizes(self) -> tuple[int, int]:
        return self.compared, self.compared

    @property
    def compared(self) -> int:
        return int(self._moments[0].sum())

    def score(self, threshold: float, *, greater: bool) -> Score | None:
        if self.inflation is None:
            return None
        return paired_mean_score(
            *self._moments,
            margin=threshold,
            relative=self.relative,
            greater=greater,
            inflation=self.inflation,
        )

    def effect(self) -> Effect | None:
        return paired_mean_effect(*self._moments, relative=self.relative, inflation=self.inflation or 1.0)

    def interval(self, critical: float) -> Interval | None:
        return paired_mean_interval(
            *self._moments, relative=self.relative, critical=critical, inflation=self.inflation or 1.0
        )

    def shortfall(self) -> str:
        if self.compared < 2:
            return "no two pairs are complete yet"
        return self._batch_shortfall() or "the pairs do not vary"

    def signal(self, threshold: float, effect: float) -> float:
        n, mean0, mean1, m0, m1, cross = self._moments
        size = float(n.sum())
        scale = ratio_or_zero(float((n * (mean0 + mean1)).sum()), 2 * size) if self.relative else 1.0
        variance = ratio_or_zero(float((m0 + m1 - 2 * cross).sum()), size) * (self.inflation or 1.0)
        return ratio_or_zero(abs((effect - threshold) * scale), math.sqrt(max(variance, 0.0)))

    def _contributions(self) -> Contributions | None:
        if not is_latency(self.metric):
            return None
        return paired_mean_contributions(*self._moments, relative=self.relative)


def scaling(threshold: float, effect: float, share: float, *, relative: bool) -> float:
    """What a relative effect makes of the standard error of candidate - (1 + threshold) baseline, where it
    multiplies the values as it does their mean; 1 for a difference.
    """
    if not relative:
        return 1.0
    return math.sqrt(share * (1 + effect) ** 2 + (1 - share) * (1 + threshold) ** 2)


def _pooled(n: FloatArray, mean: FloatArray, m2: FloatArray) -> Sample:
    """The strata of an arm as one sample."""
    size = float(n.sum())
    middle = float(n @ mean) / max(size, 1.0)
    return Sample(size, middle, float(m2.sum() + n @ (mean - middle) ** 2))
