"""A quantile of each arm, compared by exceedances of a common cut.

If candidate's q-quantile is baseline's times 1 + margin, then candidate / (1 + margin) and baseline exceed
the pooled q-quantile equally often: two proportions with margin 0, judged as in `binary`. Arms that differ in
shape there, and a slower tail usually does, add a factor to the variance (`exceedance.shape_factor`; without
it harm or safety is claimed 7% of the time for 5%). A z of the difference of quantile estimates errs 11% of
the time.

A relative margin moves the candidate's buckets by a whole number; an absolute one moves its cut. Inside a
bucket values are taken to be log-uniform. Failed requests (+inf) exceed every cut, moved or not. Rates are
standardised over strata as in `strata`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fairtrial.stats.binary import MINIMUM_EVENTS, table_z
from fairtrial.stats.buckets import LogBuckets
from fairtrial.stats.exceedance import (
    Move,
    above,
    around,
    bounded,
    cut_position,
    exceedance_contributions,
    exceedances,
    pooled_cut,
    pooled_cuts,
    shape_between,
)
from fairtrial.stats.score import Contributions, Effect, FloatArray, Score
from fairtrial.stats.strata import Table, table, table_terms

_WIDEST_RATIO = math.log(1e6)


@dataclass(frozen=True)
class Exceedances:
    """Both arms' histograms, and their exceedance rates of every edge, standardised over the strata."""

    buckets: LogBuckets
    counts0: FloatArray  # [S, B] histograms
    counts1: FloatArray  # [S, B]
    n0: FloatArray  # [S]
    n1: FloatArray  # [S]
    overall: Table
    curve0: FloatArray  # [E] standardised exceedance rates
    curve1: FloatArray  # [E]

    @classmethod
    def of(cls, hist0: npt.ArrayLike, hist1: npt.ArrayLike, buckets: LogBuckets) -> Exceedances | None:
        """None if no stratum has both arms. Raises ValueError if the histograms are not of these buckets."""
        counts0, counts1 = (np.atleast_2d(np.asarray(h, dtype=np.float64)) for h in (hist0, hist1))
        if counts0.shape != counts1.shape or counts0.shape[-1] != buckets.count:
            shapes = f"{counts0.shape} and {counts1.shape}"
            raise ValueError(f"expected two histograms of {buckets.count} buckets, got shapes {shapes}")
        n0, n1 = counts0.sum(axis=-1), counts1.sum(axis=-1)
        both = (n0 > 0) & (n1 > 0)
        if not np.any(both):
            return None
        weight = table_terms(n0, 0, n1, 0).weight
        share0 = np.where(both, weight / np.maximum(n0, 1), 0.0) / weight.sum()
        share1 = np.where(both, weight / np.maximum(n1, 1), 0.0) / weight.sum()
        overall = table(n0, np.zeros_like(n0), n1, np.zeros_like(n1))
        curve0, curve1 = exceedances(share0 @ counts0), exceedances(share1 @ counts1)
        return cls(buckets, counts0, counts1, n0, n1, overall, curve0, curve1)

    @property
    def share0(self) -> FloatArray:
        """Weight of the baseline in the pooled rate."""
        return self.overall.size0 / (self.overall.size0 + self.overall.size1)

    def cut(self, q: float, *, margin: float, relative: bool) -> tuple[FloatArray, FloatArray]:
        """[S] exceedances of the pooled quantile by baseline and candidate."""
        move = Move(self.buckets, margin, relative)
        position = pooled_cut(self.curve0, self.curve1, self.share0, tail=1 - q, move=move)
        return above(self.counts0, float(position)), above(self.counts1, float(move(position)))

    def z(self, q: float, *, margin: float, relative: bool) -> float:
        """Evidence that the quantile's effect is above the margin."""
        move = Move(self.buckets, margin, relative)
        curves = (self.curve0, self.curve1, self.share0)
        position, *ends = pooled_cuts(*curves, tails=(1 - q, *around(1 - q)), move=move)
        x0, x1 = above(self.counts0, float(position)), above(self.counts1, float(move(position)))
        t = bounded(table(self.n0, x0, self.n1, x1), position, self.curve0.size - 1, 1 - q)
        factor = shape_between(*curves, ends, move=move)
        return float(table_z(t, margin=0.0, relative=False) / np.sqrt(factor))

    def score(
        self, q: float, *, margin: float, relative: bool, greater: bool, inflation: float = 1.0
    ) -> Score | None:
        """See `quantile_score`."""
        if min(q, 1 - q) * min(self.overall.size0, self.overall.size1) < MINIMUM_EVENTS:
            return None
        z = self.z(q, margin=margin, relative=relative) / math.sqrt(inflation)
        information = float(self.overall.information)
        return Score(z if greater else -z, information, information * q * (1 - q))

    def contributions(self, q: float, *, margin: float = 0.0, relative: bool = True) -> Contributions:
        """See `quantile_contributions`."""
        x0, x1 = self.cut(q, margin=margin, relative=relative)
        return exceedance_contributions(self.n0, x0, self.n1, x1)

    def effect(self, q: float, *, relative: bool) -> Effect:
        """See `quantile_effect`."""
        low, high = _inverted(self, q, relative=relative, critical=1.0)
        return Effect(*_estimates(self, q, relative=relative), (high - low) / 2)

    def interval(
        self, q: float, *, relative: bool, critical: float, inflation: float = 1.0
    ) -> tuple[float, float]:
        """See `quantile_interval`."""
        return _inverted(self, q, relative=relative, critical=critical * math.sqrt(inflation))

    def quantile(self, curve: FloatArray, q: float) -> float:
        """An arm's quantile; `low` if it lies below, inf if too many requests failed."""
        if curve[-1] > 1 - q:
            return math.inf
        return float(self.buckets.low * self.buckets.ratio ** cut_position(curve, 1 - q))


def _check_quantile(q: float) -> None:
    if not 0 < q < 1:
        raise ValueError(f"a quantile must lie between 0 and 1, got {q}")


def quantile_score(
    hist0: npt.ArrayLike,
    hist1: npt.ArrayLike,
    *,
    buckets: LogBuckets,
    q: float,
    margin: float,
    relative: bool,
    greater: bool,
    inflation: float = 1.0,
) -> Score | None:
    """Evidence for "quantile of candidate - that of baseline > margin" (`greater`), or "< margin".

    hist0, hist1: [S, buckets.count] counts of baseline and candidate in each stratum.
    margin: of the difference in the metric's unit, or of the ratio minus 1 when `relative`; signed.
    inflation: from `batch_inflation` of `quantile_contributions`, where requests are serially correlated.
    None below 10 expected exceedances in the smaller arm.
    Raises ValueError for histograms of other buckets, or q outside (0, 1).
    """
    _check_quantile(q)
    data = Exceedances.of(hist0, hist1, buckets)
    if data is None:
        return None
    return data.score(q, margin=margin, relative=relative, greater=greater, inflation=inflation)


def quantile_contributions(
    hist0: npt.ArrayLike,
    hist1: npt.ArrayLike,
    *,
    buckets: LogBuckets,
    q: float,
    margin: float = 0.0,
    relative: bool = True,
) -> Contributions:
    """Per-stratum exceedance scores and variances at a margin, for `batch_inflation`; [S] each."""
    _check_quantile(q)
    data = Exceedances.of(hist0, hist1, buckets)
    if data is None:
        empty = np.zeros(np.atleast_2d(np.asarray(hist0)).shape[0])
        return Contributions(empty, empty)
    return data.contributions(q, margin=margin, relative=relative)


def quantile_effect(
    hist0: npt.ArrayLike, hist1: npt.ArrayLike, *, buckets: LogBuckets, q: float, relative: bool
) -> Effect | None:
    """Both quantiles and their difference, or ratio - 1.

    A quantile is inf where too many requests failed; two such differ by 0. The standard error is half
    the width of the score interval at z = 1. None without data in both arms of some stratum.
    """
    _check_quantile(q)
    data = Exceedances.of(hist0, hist1, buckets)
    return None if data is None else data.effect(q, relative=relative)


def quantile_interval(
    hist0: npt.ArrayLike,
    hist1: npt.ArrayLike,
    *,
    buckets: LogBuckets,
    q: float,
    relative: bool,
    critical: float,
    inflation: float = 1.0,
) -> tuple[float, float] | None:
    """The margins that neither one-sided claim beats at `critical`: the score inverted.

    Ratios are tested on the bucket grid and z interpolated between; the estimate is always inside. Bounds
    out of reach are -1 or -inf below, and inf above. None without data in both arms of some stratum.
    """
    _check_quantile(q)
    data = Exceedances.of(hist0, hist1, buckets)
    if data is None:
        return None
    return data.interval(q, relative=relative, critical=critical, inflation=inflation)


def _estimates(data: Exceedances, q: float, *, relative: bool) -> tuple[float, float, float]:
    baseline, candidate = data.quantile(data.curve0, q), data.quantile(data.curve1, q)
    if math.isinf(baseline) and math.isinf(candidate):
        return baseline, candidate, 0.0
    return baseline, candidate, candidate / baseline - 1 if relative else candidate - baseline


def _inverted(data: Exceedances, q: float, *, relative: bool, critical: float) -> tuple[float, float]:
    """Doubling steps outwards from the estimate, then bisection: over whole buckets, between which z is taken
    to be linear, or over differences.
    """
    estimates = _estimates(data, q, relative=relative)
    effect = estimates[2]
    ends = (-1.0, math.inf) if relative else (-math.inf, math.inf)
    if math.isinf(critical) or math.isinf(effect) or math.isinf(estimates[0]):
        return ends
    width = math.log(data.buckets.ratio)

    def margin_at(step: float) -> float:
        return math.expm1(step * width) if relative else step

    if relative:
        start, resolution = round(math.log1p(max(effect, -1 + 1e-12)) / width), 1.0
        limit: float = min(data.buckets.inner, math.ceil(_WIDEST_RATIO / width))
    else:
        # the largest value seen bounds every difference; a quarter of a bucket is as fine as the data are
        seen = np.flatnonzero(data.curve0 + data.curve1 > data.curve0[-1] + data.curve1[-1])
        largest = data.buckets.edges[min(seen[-1] + 1 if seen.size else 0, data.curve0.size - 1)]
        start, resolution = effect, (data.buckets.ratio - 1) / 4 * min(estimates[:2])
        limit = 2 * float(largest)

    def clamped(step: float) -> float:
        return min(max(step, -limit), limit)

    def bound(sign: int) -> float:
        """Where the evidence for an effect beyond it, on the side of `sign`, falls to the critical value."""

        def z(step: float) -> float:
            return sign * data.z(q, margin=margin_at(step), relative=relative)

        inside: float = start
        inside_z, stride = z(inside), resolution
        # where a bucket holds much of the data the estimate itself may be rejected: step out of there
        while inside_z >= critical and abs(inside) < limit:
            inside, stride = clamped(inside + sign * stride), 2 * stride
            inside_z = z(inside)
        if inside_z >= critical:
            return ends[1] if sign > 0 else ends[0]
        outside, stride = clamped(inside - sign * resolution), resolution
        outside_z = z(outside)
        while outside_z < critical and abs(outside) < limit:
            inside, inside_z = outside, outside_z
            outside, stride = clamped(outside - sign * 2 * stride), 2 * stride
            outside_z = z(outside)
        if outside_z < critical:
            return ends[0] if sign > 0 else ends[1]
        while abs(outside - inside) > resolution:
            middle = (inside + outside) / 2
            middle = float(round(middle)) if relative else middle
            middle_z = z(middle)
            if middle_z >= critical:
                outside, outside_z = middle, middle_z
            else:
                inside, inside_z = middle, middle_z
        share = (critical - inside_z) / (outside_z - inside_z)
        return margin_at(inside + share * (outside - inside))

    return min(bound(1), effect), max(bound(-1), effect)
