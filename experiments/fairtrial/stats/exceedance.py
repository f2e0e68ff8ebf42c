"""Exceedances of a cut, counted in log buckets: the arithmetic beneath `quantile`.

All functions work over any leading axes. A position on the bucket edges is a real number: 3.25 is a quarter
of a bucket (in logarithm) above edge 3. Rates are straight lines between edges.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fairtrial.stats.binary import corrected, log_likelihood_ratio, skewness
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


def common_cut(
    curve0: FloatArray,
    curve1: FloatArray,
    size0: FloatArray,
    size1: FloatArray,
    *,
    tail: float,
    move: Callable[[FloatArray], FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """The cut at which both arms are most likely to exceed it at rate `tail`.

    curve0, curve1: [..., E] exceedance rates; size0, size1: [...] effective sizes; move: the candidate's cut
    for the baseline's.
    Returns ([...] edge position of the baseline's cut, [...] log likelihood ratio there). The grid of
    edges is refined three times around the best. Both quantiles may also lie in the last bucket, which any
    failure rate of at least `tail` agrees with, or both in the first.
    """
    weight0, weight1 = size0[..., None], size1[..., None]
    target = np.asarray(tail)

    def ratio(position: FloatArray) -> FloatArray:
        return log_likelihood_ratio(weight0, along(curve0, position), target) + log_likelihood_ratio(
            weight1, along(curve1, move(position)), target
        )

    edges = np.arange(curve0.shape[-1], dtype=np.float64)
    position = np.broadcast_to(edges, curve0.shape)
    reach = 1.0
    best, least = position[..., :1], np.full((*curve0.shape[:-1], 1), np.inf)
    for _ in range(4):
        values = ratio(position)
        index = np.argmin(values, axis=-1, keepdims=True)
        best = np.take_along_axis(position, index, axis=-1)
        least = np.take_along_axis(values, index, axis=-1)
        position = best + reach * np.linspace(-1, 1, 17)
        reach /= 8
    for end, side in ((-1, -1), (0, 1)):
        disagreeing = [side * np.maximum(side * curve[..., end], side * tail) for curve in (curve0, curve1)]
        value = log_likelihood_ratio(size0, disagreeing[0], target)
        value = (value + log_likelihood_ratio(size1, disagreeing[1], target))[..., None]
        best = np.where(value < least, edges[end], best)
        least = np.minimum(value, least)
    return best[..., 0], least[..., 0]


def moved(buckets: LogBuckets, position: FloatArray, *, margin: float, relative: bool) -> FloatArray:
    """Where the candidate is cut so that the margin is taken off it; positions in edges."""
    width = math.log(buckets.ratio)
    if relative:
        steps = math.log1p(margin) / width
        return position + (round(steps) if abs(steps - round(steps)) < 1e-6 else steps)
    value = buckets.low * np.exp(width * position) + margin
    return np.log(np.maximum(value, buckets.low) / buckets.low) / width


def at_cut(above: FloatArray, position: FloatArray) -> FloatArray:
    """[..., S] exceedances [..., S, E] at one edge position [..., 1] for all strata."""
    return along(above, np.broadcast_to(position[..., None], (*above.shape[:-1], 1)))[..., 0]


def exceedance_z(t: Table, ratio: FloatArray, tail: float) -> FloatArray:
    """Signed, corrected root of the log likelihood ratio at the common cut, whose table is given."""
    rate = np.full_like(t.rate0, tail)
    root = np.sign(t.rate1 - t.rate0) * np.sqrt(2 * np.maximum(ratio, 0.0) / t.heterogeneity)
    return corrected(root, skewness(t, rate, rate, np.ones(())))


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
