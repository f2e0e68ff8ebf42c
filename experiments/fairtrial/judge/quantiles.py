"""Comparison of a quantile of two arms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fairtrial.judge.comparison import Comparison, Interval, ratio_or_zero, shared
from fairtrial.judge.evidence import FloatArray, IntArray, Stratum
from fairtrial.judge.geometry import is_latency, quantile_buckets
from fairtrial.judge.spec import MetricSpec
from fairtrial.stats.binary import MINIMUM_EVENTS
from fairtrial.stats.buckets import LogBuckets
from fairtrial.stats.fixed.block_bootstrap import block_bootstrap
from fairtrial.stats.fixed.result import FixedTest
from fairtrial.stats.minimum import minimum_for_quantile
from fairtrial.stats.quantile import Exceedances
from fairtrial.stats.score import Contributions, Effect, Score

#: Unused buckets kept on either side of those in use: a factor of 3.5 in value.
_SPARE = 64
_MANY = 1e9


class Quantiles(Comparison):
    """Two quantiles. `baseline`, `candidate`: [S, bucket] counts in the metric's buckets."""

    def __init__(
        self, metric: MetricSpec, strata: Sequence[Stratum], baseline: IntArray, candidate: IntArray
    ) -> None:
        """Raises ValueError if the metric names no quantile."""
        super().__init__(metric, strata)
        if metric.quantile is None:
            raise ValueError(f"metric {metric.name} names no quantile")
        self._q = metric.quantile
        self._least = minimum_for_quantile(self._q)
        self._buckets, self._histograms = _trimmed(quantile_buckets(metric), baseline, candidate)
        self._data = Exceedances.of(*self._histograms, self._buckets)
        self._sizes = (
            (self._data.n0, self._data.n1)
            if self._data
            else tuple(histogram.sum(axis=1) for histogram in self._histograms)
        )

    @property
    def sizes(self) -> tuple[int, int]:
        return int(self._sizes[0].sum()), int(self._sizes[1].sum())

    @property
    def compared(self) -> int:
        return shared(*self._sizes)

    def score(self, threshold: float, *, greater: bool) -> Score | None:
        if self._data is None or self.compared < self._least or self.inflation is None:
            return None
        return self._data.score(
            self._q, margin=threshold, relative=self.relative, greater=greater, inflation=self.inflation
        )

    def fixed(self, threshold: float, *, greater: bool, level: float) -> FixedTest | None:
        if self.compared < self._least or len({stratum.segment for stratum in self._strata}) > 1:
            return super().fixed(threshold, greater=greater, level=level)
        return block_bootstrap(
            *self._histograms,
            buckets=self._buckets,
            q=self._q,
            margin=threshold,
            relative=self.relative,
            greater=greater,
            level=level,
        )

    def effect(self) -> Effect | None:
        return None if self._data is None else self._data.effect(self._q, relative=self.relative)

    def interval(self, critical: float) -> Interval | None:
        if self._data is None:
            return None
        return self._data.interval(
            self._q, relative=self.relative, critical=critical, inflation=self.inflation or 1.0
        )

    def shortfall(self) -> str:
        tail = min(self._q, 1 - self._q)
        needed = max(self._least, math.ceil(MINIMUM_EVENTS / tail - 1e-9))
        if self.compared < needed:
            return (
                f"p{100 * self._q:.4g} needs about {needed:,} requests in the smaller arm; "
                f"there are {self.compared:,}"
            )
        return self._batch_shortfall() or "the arms have too few requests in the same time batches"

    def signal(self, threshold: float, effect: float) -> float:
        """The pooled exceedance of a cut moved as far as the effect is from the threshold."""
        pooled = sum(histogram.sum(axis=0) for histogram in self._histograms)
        above = 1 - np.cumsum(pooled)[:-1] / max(float(np.sum(pooled)), 1.0)
        tail = 1 - self._q
        edge = int(np.argmin(np.abs(above - tail)))
        value = self._buckets.edges[edge]
        if self.relative:
            moved = value * (1 + threshold) / (1 + effect) if effect > -1 else np.inf
        else:
            moved = value + threshold - effect
        exceeding = float(np.interp(moved, self._buckets.edges, above))
        noise = math.sqrt(tail * self._q * (self.inflation or 1.0))
        return ratio_or_zero(abs(exceeding - float(above[edge])), noise)

    def drift(self, threshold: float, effect: float, share: float) -> float:
        """The score of the pooled histogram against itself, moved by the effect."""
        pooled = sum(histogram.sum(axis=0) for histogram in self._histograms)
        pooled = pooled / max(float(np.sum(pooled)), 1.0)
        edges = self._buckets.edges
        came_from = edges / (1 + effect) if self.relative else edges - effect
        below = np.interp(came_from, edges, np.cumsum(pooled)[:-1])
        moved = np.diff(np.concatenate([[0.0], below, [1.0]]))
        data = Exceedances.of(share * _MANY * pooled, (1 - share) * _MANY * moved, self._buckets)
        if data is None:
            return 0.0
        z = abs(data.z(self._q, margin=threshold, relative=self.relative))
        return z / math.sqrt(float(data.overall.information) * (self.inflation or 1.0))

    def _contributions(self) -> Contributions | None:
        if not is_latency(self.metric):
            return None
        if self._data is None:
            empty = np.zeros(len(self._strata))
            return Contributions(empty, empty)
        return self._data.contributions(self._q)


def _trimmed(
    buckets: LogBuckets, baseline: IntArray, candidate: IntArray
) -> tuple[LogBuckets, tuple[FloatArray, FloatArray]]:
    """The same histograms in fewer buckets: those in use, and some beyond for margins to move in.

    Most of the range is never used, and every score costs as much as there are buckets.
    """
    used = np.flatnonzero((baseline.sum(axis=0) + candidate.sum(axis=0))[1:-1]) + 1
    if not used.size:
        return buckets, (baseline.astype(np.float64), candidate.astype(np.float64))
    first = max(int(used[0]) - _SPARE, 1)
    last = min(int(used[-1]) + _SPARE, buckets.inner)
    edges = buckets.edges
    fewer = LogBuckets(buckets.ratio, float(edges[first - 1]), float(edges[last]))
    kept = slice(first, last + 1)
    return fewer, (_columns(baseline, kept), _columns(candidate, kept))


def _columns(counts: IntArray, kept: slice) -> FloatArray:
    """These columns and the two ends; none of the others is in use."""
    fewer = np.empty((len(counts), kept.stop - kept.start + 2))
    fewer[:, 0], fewer[:, 1:-1], fewer[:, -1] = counts[:, 0], counts[:, kept], counts[:, -1]
    return fewer
