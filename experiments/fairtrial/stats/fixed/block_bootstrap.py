"""The block bootstrap of a quantile: whole time batches are drawn, so that what is alike stays together.

Moving blocks are Kuensch's (1989) and Liu and Singh's (1992); here blocks are the time batches that the
evidence is counted in, each with both arms, which are drawn as one: a slow second stays slow for both. The
one-sided p-value is the share of draws on the wrong side of the margin, by the percentile method.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fairtrial.stats.buckets import LogBuckets
from fairtrial.stats.exceedance import cut_position, exceedances
from fairtrial.stats.fixed.result import FixedTest, tail
from fairtrial.stats.score import FloatArray

DRAWS = 2000
MINIMUM_BATCHES = 30


def block_bootstrap(
    hist0: npt.ArrayLike,
    hist1: npt.ArrayLike,
    *,
    buckets: LogBuckets,
    q: float,
    margin: float,
    relative: bool,
    greater: bool,
    level: float = 0.95,
    seed: int = 0,
) -> FixedTest | None:
    """The claim "quantile of candidate - that of baseline > margin" (`greater`), or "< margin".

    hist0, hist1: [S, buckets.count] counts of baseline and candidate in each time batch. margin: of the
    difference, or of the ratio minus 1 when `relative`; signed. The p-value is at least 1 / 2001, and two
    quantiles that are both out of range differ by 0. None below 30 batches with both arms.
    Raises ValueError for q or a level outside (0, 1).
    """
    if not 0 < q < 1:
        raise ValueError(f"a quantile must lie between 0 and 1, got {q}")
    end = tail(level)
    first, second = (np.atleast_2d(np.asarray(h, dtype=np.float64)) for h in (hist0, hist1))
    both = (first.sum(axis=-1) > 0) & (second.sum(axis=-1) > 0)
    first, second = first[both], second[both]
    if len(first) < MINIMUM_BATCHES:
        return None
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(first), np.full(len(first), 1 / len(first)), size=DRAWS)
    low, high = (_quantiles(drawn @ arm, buckets, q) for arm in (first, second))
    with np.errstate(invalid="ignore"):
        effect = high / low - 1 if relative else high - low
    effect = np.where(np.isnan(effect), 0.0, effect)
    wrong = effect <= margin if greater else effect >= margin
    p_value = (1 + int(wrong.sum())) / (DRAWS + 1)
    lower, upper = np.quantile(effect, [end, 1 - end], method="inverted_cdf")
    return FixedTest("block bootstrap", p_value, (float(lower), float(upper)))


def _quantiles(counts: FloatArray, buckets: LogBuckets, q: float) -> FloatArray:
    """[draws] the quantile of each histogram; inf where too many requests failed."""
    curve = exceedances(counts) / counts.sum(axis=-1, keepdims=True)
    position = cut_position(curve, 1 - q)
    values = buckets.low * buckets.ratio**position
    return np.where(curve[:, -1] > 1 - q, np.inf, values)
