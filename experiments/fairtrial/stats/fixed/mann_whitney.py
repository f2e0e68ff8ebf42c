"""The rank test of Mann and Whitney (1947), from histograms: values in one bucket are tied.

With strata it is van Elteren's (1960) test: ranks are taken within each, weighted by 1 / (n0 + n1 + 1), so
that a drift in time cannot pass for a difference. Failures in the last bucket are simply the slowest.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from fairtrial.stats.fixed.result import FixedTest
from fairtrial.stats.score import FloatArray


def mann_whitney(hist0: npt.ArrayLike, hist1: npt.ArrayLike, *, greater: bool, shift: int = 0) -> FixedTest:
    """The claim that the candidate's values tend to be larger (`greater`), or smaller.

    hist0, hist1: [B] or [S, B] counts of baseline and candidate in the same buckets.
    shift: whole buckets taken off the candidate's values first: a relative margin, `LogBuckets.shift`.
    Normal approximation with the variance corrected for ties, without continuity correction. p is 0.5 if
    all values are tied, 1 if an arm has none. For arms alike in shape it is a test of their shift; else of
    whether a value of the one is more often larger than of the other, with an approximate level.
    Raises ValueError if the shapes differ or a count is negative.
    """
    first, second = _histograms(hist0, hist1, shift)
    n0, n1 = first.sum(axis=-1), second.sum(axis=-1)
    both = (n0 > 0) & (n1 > 0)
    if not np.any(both):
        return FixedTest("Mann-Whitney", 1.0)
    first, second, n0, n1 = first[both], second[both], n0[both], n1[both]
    total = n0 + n1
    weight = 1 / (total + 1)
    gap = weight @ (_wins(first, second) - n0 * n1 / 2)
    ties = first + second
    tied = (ties**3 - ties).sum(axis=-1) / (total * np.maximum(total - 1, 1))
    variance = float(weight**2 @ (n0 * n1 / 12 * (total + 1 - tied)))
    z = float(gap) / math.sqrt(variance) if variance > 1e-12 else 0.0
    return FixedTest("Mann-Whitney", float(ndtr(-z if greater else z)))


def superiority(hist0: npt.ArrayLike, hist1: npt.ArrayLike, *, shift: int = 0) -> float | None:
    """Probability that a value of the candidate is larger than one of the baseline, ties counted half.

    Averaged over strata with weights n0 n1 / (n0 + n1). None if no stratum has both arms.
    Raises ValueError as `mann_whitney`.
    """
    first, second = _histograms(hist0, hist1, shift)
    n0, n1 = first.sum(axis=-1), second.sum(axis=-1)
    total = np.maximum(n0 + n1, 1)
    weight = n0 * n1 / total
    if weight.sum() == 0:
        return None
    return float((_wins(first, second) / total).sum() / weight.sum())


def _wins(first: FloatArray, second: FloatArray) -> FloatArray:
    """[S] Mann and Whitney's U of the candidate."""
    below = np.cumsum(first, axis=-1) - first / 2
    return (second * below).sum(axis=-1)


def _histograms(hist0: npt.ArrayLike, hist1: npt.ArrayLike, shift: int) -> tuple[FloatArray, FloatArray]:
    first, second = (np.atleast_2d(np.asarray(h, dtype=np.float64)) for h in (hist0, hist1))
    if first.shape != second.shape:
        raise ValueError(f"histograms of shapes {first.shape} and {second.shape} cannot be compared")
    if np.any(first < 0) or np.any(second < 0):
        raise ValueError("counts must not be negative")
    return first, _shifted(second, shift)


def _shifted(counts: FloatArray, shift: int) -> FloatArray:
    """Buckets moved down by `shift`; the open first one takes what falls off, the last keeps its failures."""
    inner = counts.shape[-1] - 1
    if shift == 0:
        return counts
    moved = np.zeros_like(counts)
    target = np.clip(np.arange(inner) - shift, 0, inner - 1)
    for source, column in enumerate(target.tolist()):
        moved[:, column] += counts[:, source]
    moved[:, inner] = counts[:, inner]
    return moved
