"""Exceedances of a cut, counted in log buckets: the arithmetic beneath `quantile`.

All functions work over any leading axes. A position on the bucket edges is a real number: 3.25 is a quarter
of a bucket (in logarithm) above edge 3. Rates are straight lines between edges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fairtrial.stats.buckets import LogBuckets
from fairtrial.stats.score import Contributions, FloatArray
from fairtrial.stats.strata import Table, table, table_terms


def exceedances(hist: npt.ArrayLike) -> FloatArray:
    """[..., B - 1] how many values are at or above each edge, of counts [..., B]."""
    counts = np.asarray(hist, dtype=np.float64)
    return counts.sum(axis=-1, keepdims=True) - np.cumsum(counts[..., :-1], axis=-1)


def along(curve: FloatArray, position: FloatArray) -> FloatArray:
    """[..., P] a curve over the edges [..., E] at edge positions [..., P]: linear between, flat beyond."""
    last = curve.shape[-1] - 1
    clipped = np.clip(position, 0.0, last)
    lower = np.minimum(clipped.astype(np.int64), max(last - 1, 0))
    left = np.take_along_axis(curve, lower, axis=-1)
    right = np.take_along_axis(curve, np.minimum(lower + 1, last), axis=-1)
    return left + (clipped - lower) * (right - left)


def cut_position(curve: FloatArray, tail: float) -> FloatArray:
    """[...] edge position where a falling curve of exceedance rates [..., E] passes `tail`.

    The first edge if it starts below, the last (above it only failures) if it ends above.
    """
    last = curve.shape[-1] - 1
    right = np.clip((curve > tail).sum(axis=-1), 1, max(last, 1))
    upper = np.take_along_axis(curve, (right - 1)[..., None], axis=-1)[..., 0]
    lower = np.take_along_axis(curve, np.minimum(right, last)[..., None], axis=-1)[..., 0]
    fall = upper - lower
    flat = (upper > tail).astype(np.float64)
    share = np.where(fall > 0, (upper - tail) / np.where(fall > 0, fall, 1.0), flat)
    return right - 1 + np.clip(share, 0.0, 1.0)


@dataclass(frozen=True)
class Move:
    """Where the candidate is cut, for a cut of the baseline, so that a margin is taken off it."""

    buckets: LogBuckets
    margin: float
    relative: bool

    def __call__(self, position: FloatArray) -> FloatArray:
        """[...] edge positions of the candidate's cut."""
        width = math.log(self.buckets.ratio)
        if self.relative:
            steps = math.log1p(self.margin) / width
            return position + (round(steps) if abs(steps - round(steps)) < 1e-6 else steps)
        value = self.buckets.low * np.exp(width * position) + self.margin
        return np.log(np.maximum(value, self.buckets.low) / self.buckets.low) / width


def pooled_cut(
    curve0: FloatArray, curve1: FloatArray, share0: FloatArray, *, tail: float, move: Move
) -> FloatArray:
    """[...] edge position, for the baseline, of the cut that both arms together exceed at rate `tail`.

    curve0, curve1: [..., E] exceedance rates; share0: [...] weight of the baseline. A relative move keeps
    the pooled rate a straight line between edges; an absolute one does not, and the bracketing pair of edges
    is divided twice by 16.
    """
    return pooled_cuts(curve0, curve1, share0, tails=(tail,), move=move)[0]


def pooled_cuts(
    curve0: FloatArray, curve1: FloatArray, share0: FloatArray, *, tails: Sequence[float], move: Move
) -> list[FloatArray]:
    """`pooled_cut` at several rates."""
    weight = share0[..., None]
    last = curve0.shape[-1] - 1

    def pooled(position: FloatArray) -> FloatArray:
        return weight * along(curve0, position) + (1 - weight) * along(curve1, move(position))

    edges = np.broadcast_to(np.arange(last + 1, dtype=np.float64), curve0.shape)
    curve = pooled(edges)
    cuts: list[FloatArray] = []
    for tail in tails:
        grid, width = edges, 1.0
        cut = cut_position(curve, tail)[..., None]
        for _ in range(0 if move.relative else 2):
            start = np.take_along_axis(grid, cut.astype(np.int64), axis=-1)
            width /= 16
            grid = start + width * np.arange(17)
            cut = cut_position(pooled(grid), tail)[..., None]
        lower = np.minimum(cut.astype(np.int64), grid.shape[-1] - 1)
        position = np.take_along_axis(grid, lower, axis=-1) + (cut - lower) * width
        cuts.append(np.minimum(position[..., 0], last))
    return cuts


def shape_factor(
    curve0: FloatArray, curve1: FloatArray, share0: FloatArray, *, tail: float, move: Move
) -> FloatArray:
    """[...] variance of the exceedance score at the pooled quantile, over that for arms alike in shape.

    The pooled quantile leans towards the arm with the denser values around it, and takes part of that arm's
    noise with it: the factor is the mean square of both densities there over their squared mean. They are
    taken from about half the tail beyond the cut to once more before it.
    """
    ends = pooled_cuts(curve0, curve1, share0, tails=around(tail), move=move)
    return shape_between(curve0, curve1, share0, ends, move=move)


def around(tail: float) -> tuple[float, float]:
    """The rates between which the densities at a cut are taken."""
    wide = min(tail, 1 - tail)
    return tail + wide * (1 - wide), tail - wide / 2


def shape_between(
    curve0: FloatArray, curve1: FloatArray, share0: FloatArray, cuts: Sequence[FloatArray], *, move: Move
) -> FloatArray:
    """`shape_factor` by the edge positions of the two rates `around` the tail."""
    ends = [cut[..., None] for cut in cuts]
    density0 = (along(curve0, ends[0]) - along(curve0, ends[1]))[..., 0]
    density1 = (along(curve1, move(ends[0])) - along(curve1, move(ends[1])))[..., 0]
    mean = share0 * density0 + (1 - share0) * density1
    square = share0 * density0**2 + (1 - share0) * density1**2
    return np.where(mean > 0, square / np.where(mean > 0, mean, 1.0) ** 2, 1.0)


def above(counts: FloatArray, position: float) -> FloatArray:
    """[S] how many of the counts [S, B] are at or above an edge position: `along` of their `exceedances`,
    without those of all other edges.
    """
    last = counts.shape[-1] - 2
    clipped = min(max(position, 0.0), float(last))
    lower = min(int(clipped), max(last - 1, 0))
    beyond = counts[..., lower + 1 :].sum(axis=-1)
    return beyond - (clipped - lower) * counts[..., min(lower + 1, last)] if last else beyond


def bounded(t: Table, position: FloatArray, last: int, tail: float) -> Table:
    """The table of the cut, where the cut is the first or last edge.

    Beyond the last edge are failures: two arms that both fail more often than `tail` have the same quantile,
    which is inf, however often they do. Likewise two arms below the first edge.
    """
    rates = (t.rate0, t.rate1)
    rates = tuple(np.where(position >= last, np.minimum(rate, tail), rate) for rate in rates)
    rates = tuple(np.where(position <= 0, np.maximum(rate, tail), rate) for rate in rates)
    return replace(t, rate0=rates[0], rate1=rates[1])


def exceedance_contributions(n0: FloatArray, x0: FloatArray, n1: FloatArray, x1: FloatArray) -> Contributions:
    """[..., S] weighted differences of exceedance rates about their mean, and their variances.

    The variances are hypergeometric, scaled from a common rate to the two estimated ones: else more
    exceedances in a small arm would pass for correlation and hide the harm that they show.
    """
    terms = table_terms(n0, x0, n1, x1)
    t = table(n0, x0, n1, x1)
    total = np.maximum(terms.weight.sum(axis=-1, keepdims=True), 1e-300)
    gap = terms.rate1 - terms.rate0
    size0, size1 = np.maximum(t.size0, 1e-300), np.maximum(t.size1, 1e-300)
    pooled = (t.size0 * t.rate0 + t.size1 * t.rate1) / (size0 + size1)
    common = pooled * (1 - pooled) * (1 / size0 + 1 / size1)
    separate = t.rate0 * (1 - t.rate0) / size0 + t.rate1 * (1 - t.rate1) / size1
    scale = np.where(common > 0, separate / np.where(common > 0, common, 1.0), 1.0)
    return Contributions(
        gap - terms.weight * gap.sum(axis=-1, keepdims=True) / total, terms.hypergeometric * scale[..., None]
    )
