"""Two paired proportions: both arms answered the same row.

n10 counts the pairs where the baseline has the event and the candidate has not, n01 the reverse, n11 and n00
those where both or neither have it; so candidate - baseline = (n01 - n10) / n. A pair's two halves share
their stratum, hence its contrast candidate - baseline is free of drift by itself, and the tables of the
strata are simply added.

The statistic is the signed root of the multinomial likelihood ratio under the constraint that the mean of
d = candidate - baseline - margin is 0 (for margin 0 that of McNemar's discordant pairs; for a difference
the constraint of Tango, 1998, and Nam, 1997), or of d = candidate - (1 + margin) baseline when relative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

from fairtrial.stats.binary import corrected
from fairtrial.stats.inversion import invert
from fairtrial.stats.score import Effect, FloatArray, Score

MINIMUM_DISCORDANT = 10.0
"""Discordant pairs expected at the margin before a look."""

_MANY = 1e9


@dataclass(frozen=True)
class PairTable:
    """Pair counts, over any leading axes."""

    n11: FloatArray
    n10: FloatArray
    n01: FloatArray
    n00: FloatArray

    @property
    def n(self) -> FloatArray:
        """Number of pairs."""
        return self.n11 + self.n10 + self.n01 + self.n00


def pair_table(n11: npt.ArrayLike, n10: npt.ArrayLike, n01: npt.ArrayLike, n00: npt.ArrayLike) -> PairTable:
    """Counts [..., S] added over strata; a scalar is one stratum."""
    return PairTable(
        *(np.atleast_1d(np.asarray(a, dtype=np.float64)).sum(axis=-1) for a in (n11, n10, n01, n00))
    )


def _contrasts(
    t: PairTable, margin: FloatArray, *, relative: bool
) -> tuple[tuple[FloatArray, FloatArray, FloatArray], tuple[FloatArray, FloatArray, FloatArray]]:
    """Counts and values of the contrast: n01 (positive), n10 (negative) and the third value it takes."""
    if relative:
        one = np.ones_like(margin)
        return (t.n01, t.n10, t.n11), (one, -(1 + margin), -margin)
    return (t.n01, t.n10, t.n11 + t.n00), (1 - margin, -1 - margin, -margin)


def _multiplier(t: PairTable, margin: FloatArray, *, relative: bool) -> FloatArray:
    """Lagrange multiplier of the constraint: constrained probabilities are count / (n (1 + multiplier d)).

    The sum of count d / (1 + multiplier d) over the three values of d is 0 at a root of a quadratic; the
    branch taken is the one through 0. A root outside the range where all probabilities are positive means
    that the constraint puts mass on a category not seen yet, and the multiplier is the end of that range.
    """
    counts, values = _contrasts(t, margin, relative=relative)
    d1, d2, d3 = values
    c = counts[0] * d1 + counts[1] * d2 + counts[2] * d3
    b = counts[0] * d1 * (d2 + d3) + counts[1] * d2 * (d1 + d3) + counts[2] * d3 * (d1 + d2)
    a = d1 * d2 * d3 * (counts[0] + counts[1] + counts[2])
    root = np.sqrt(np.maximum(b * b - 4 * a * c, 0.0))
    stable = b <= 0
    direct = 2 * c / np.where(stable & (root - b > 0), root - b, 1.0)
    other = -(root + b) / np.where(a == 0, 1.0, 2 * a)
    multiplier = np.where(stable | (a == 0), direct, other)
    largest = np.maximum(np.maximum(d1, d2), d3)
    smallest = np.minimum(np.minimum(d1, d2), d3)
    return np.clip(multiplier, -1 / largest, -1 / smallest)


def pair_z(t: PairTable, *, margin: npt.ArrayLike, relative: bool) -> FloatArray:
    """Corrected signed root of the likelihood ratio: large above the margin, never NaN.

    margin: above -1, and below 1 when it is a difference; broadcasts against the table. The correction is
    that of `binary`, for the skewness of the mean contrast; for margin 0 it is small.
    """
    m = np.asarray(margin, dtype=np.float64)
    counts, values = _contrasts(t, m, relative=relative)
    multiplier = _multiplier(t, m, relative=relative)
    ratio, second, third, expected = (np.zeros(()) for _ in range(4))
    for count, d in zip(counts, values, strict=True):
        scale = np.maximum(1 + multiplier * d, 1e-300)
        ratio = ratio + xlogy(count, scale)
        constrained = np.where(count > 0, count / scale, 0.0)
        second, third = second + constrained * d**2, third + constrained * d**3
        expected = expected + constrained
    # pairs that the constraint expects in a category not seen yet
    unseen = np.maximum(t.n - expected - (t.n00 if relative else 0.0), 0.0)
    end = -1 / np.where(multiplier == 0, 1.0, multiplier)
    second, third = second + unseen * end**2, third + unseen * end**3
    skewness = np.where(second > 0, third / np.where(second > 0, second, 1.0) ** 1.5, 0.0)
    excess = counts[0] * values[0] + counts[1] * values[1] + counts[2] * values[2]
    return corrected(np.sign(excess) * np.sqrt(2 * np.maximum(ratio, 0.0)), np.clip(skewness, -0.4, 0.4))


def pair_discordant(t: PairTable, *, margin: npt.ArrayLike, relative: bool) -> FloatArray:
    """Discordant pairs expected if the effect is the margin."""
    m = np.asarray(margin, dtype=np.float64)
    multiplier = _multiplier(t, m, relative=relative)
    counts, values = _contrasts(t, m, relative=relative)
    rest = counts[2] / np.maximum(1 + multiplier * values[2], 1e-300)
    if relative:
        rest = rest + t.n00
    return np.maximum(t.n - rest, 0.0)


def paired_binary_score(
    n11: npt.ArrayLike,
    n10: npt.ArrayLike,
    n01: npt.ArrayLike,
    n00: npt.ArrayLike,
    *,
    margin: float,
    relative: bool,
    greater: bool,
) -> Score | None:
    """Evidence for "candidate - baseline > margin" (`greater`), or "< margin".

    Counts are [S] per stratum, or already added. margin: of the difference, or of the ratio minus 1 when
    `relative`; signed.
    None without pairs or below 10 discordant pairs expected at the margin; but if the arms never disagreed
    and the margin is 0 the evidence is a plain z = 0.
    """
    t = pair_table(n11, n10, n01, n00)
    pairs = float(t.n)
    if pairs == 0:
        return None
    if margin == 0 and float(t.n10 + t.n01) == 0:
        return Score(0.0, pairs, pairs)
    if float(pair_discordant(t, margin=margin, relative=relative)) < MINIMUM_DISCORDANT:
        return None
    z = float(pair_z(t, margin=margin, relative=relative))
    return Score(z if greater else -z, pairs, pairs)


def paired_binary_drift(
    n11: float, n10: float, n01: float, n00: float, *, effect: float, margin: float, relative: bool
) -> float:
    """Size of the expected z per root of a pair, if arms that differ as in these counts also differ by
    `effect`: a difference, or a ratio minus 1 when `relative`.

    The effect turns pairs on which the arms agree into pairs on which they do not. 0 without pairs.
    """
    total = n11 + n10 + n01 + n00
    if total == 0:
        return 0.0
    p11, p10, p01, p00 = (cell / total for cell in (n11, n10, n01, n00))
    # arms alike but for the effect, whatever a pilot saw of it
    p10 = p01 = (p10 + p01) / 2
    gained = effect * (p11 + p10) if relative else effect
    risen, fallen = min(max(gained, 0.0), p00), min(max(-gained, 0.0), p11)
    cells = (p11 - fallen, p10 + fallen, p01 + risen, p00 - risen)
    t = pair_table(*(_MANY * cell for cell in cells))
    return abs(float(pair_z(t, margin=margin, relative=relative))) / math.sqrt(float(t.n))


def paired_binary_effect(
    n11: npt.ArrayLike, n10: npt.ArrayLike, n01: npt.ArrayLike, n00: npt.ArrayLike, *, relative: bool
) -> Effect | None:
    """Rates of both arms and their difference, or ratio - 1; Wald standard error.

    None without pairs, or for the ratio to a baseline rate of 0.
    """
    t = pair_table(n11, n10, n01, n00)
    n = float(t.n)
    if n == 0 or (relative and float(t.n11 + t.n10) == 0):
        return None
    p0, p1 = float(t.n11 + t.n10) / n, float(t.n11 + t.n01) / n
    ratio = p1 / p0 if relative else 1.0
    squares = float(t.n01 + ratio**2 * t.n10 + (1 - ratio) ** 2 * t.n11) / n
    variance = max(squares - (p1 - ratio * p0) ** 2, 0.0) / n
    if not relative:
        return Effect(p0, p1, p1 - p0, math.sqrt(variance))
    return Effect(p0, p1, ratio - 1, math.sqrt(variance) / p0)


def paired_binary_interval(
    n11: npt.ArrayLike,
    n10: npt.ArrayLike,
    n01: npt.ArrayLike,
    n00: npt.ArrayLike,
    *,
    relative: bool,
    critical: float,
) -> tuple[float, float] | None:
    """The margins that neither one-sided claim beats at `critical`: the score inverted.

    None where `paired_binary_effect` is.
    """
    effect = paired_binary_effect(n11, n10, n01, n00, relative=relative)
    if effect is None:
        return None
    t = pair_table(n11, n10, n01, n00)
    return invert(
        lambda margin: pair_z(t, margin=margin, relative=relative),
        estimate=effect.effect,
        critical=critical,
        relative=relative,
    )
