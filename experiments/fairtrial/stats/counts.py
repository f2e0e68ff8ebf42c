"""Two rates of events: retries a request, alarms a user, as of Poisson processes.

A ratio of rates is judged by the conditional binomial (Przyborowski and Wilenski, 1940): of the t events of
a stratum the candidate has a binomial number, whose probability n1 r / (n0 + n1 r) knows the ratio r but not
the rate, so that rates may drift from stratum to stratum at will. A difference of rates has no such
conditional distribution: it is judged by the Poisson likelihood of rates standardised over strata, as the
table of `strata` is for proportions. Both statistics are signed roots of the likelihood ratio, with what
they keep of the skewness taken out as in `binary`.

Events that come in clumps scatter more than Poisson counts. `count_contributions` shows by how much, by batch
means, and z is divided by the root of that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import rel_entr

from fairtrial.stats.binary import MINIMUM_EVENTS, corrected
from fairtrial.stats.inversion import invert
from fairtrial.stats.score import Contributions, Effect, FloatArray, Score

_STEPS = 50
_MANY = 1e9


@dataclass(frozen=True)
class Counts:
    """Observations n and events x of baseline and candidate in each stratum, [..., S] each, only strata with
    both arms; and the Mantel-Haenszel weights n0 n1 / (n0 + n1).
    """

    n0: FloatArray
    x0: FloatArray
    n1: FloatArray
    x1: FloatArray
    weight: FloatArray

    @classmethod
    def of(cls, n0: npt.ArrayLike, x0: npt.ArrayLike, n1: npt.ArrayLike, x1: npt.ArrayLike) -> Counts:
        """Of [..., S] counts; a scalar is one stratum. Strata that lack an arm are emptied."""
        a = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (n0, x0, n1, x1)))
        both = (a[0] > 0) & (a[2] > 0)
        size0, events0, size1, events1 = (np.where(both, each, 0.0) for each in a)
        weight = np.where(both, size0 * size1 / np.where(both, size0 + size1, 1.0), 0.0)
        return cls(size0, events0, size1, events1, weight)

    @property
    def information(self) -> FloatArray:
        """[...] sum of the weights."""
        return self.weight.sum(axis=-1)

    def share(self, ratio: FloatArray) -> FloatArray:
        """[..., S] probability that an event is the candidate's, at a ratio of rates [...]."""
        reach = self.n1 * ratio[..., None]
        total = self.n0 + reach
        return np.where(total > 0, reach / np.where(total > 0, total, 1.0), 0.0)

    @property
    def rates(self) -> tuple[FloatArray, FloatArray]:
        """[...] rates standardised over the strata."""
        total = np.maximum(self.information, 1e-300)
        means = (
            (self.weight * x / np.maximum(n, 1.0)).sum(axis=-1) / total
            for n, x in ((self.n0, self.x0), (self.n1, self.x1))
        )
        rate0, rate1 = means
        return rate0, rate1

    @property
    def sizes(self) -> tuple[FloatArray, FloatArray]:
        """[...] observations that would give the standardised rates their variance in one stratum."""
        squared = self.information**2
        spreads = ((self.weight**2 / np.maximum(n, 1.0)).sum(axis=-1) for n in (self.n0, self.n1))
        size0, size1 = (squared / np.where(spread > 0, spread, 1.0) for spread in spreads)
        return size0, size1

    @property
    def variance(self) -> FloatArray:
        """[...] of the sum of weighted differences, if both arms have the same rate in each stratum."""
        total = np.maximum(self.n0 + self.n1, 1.0)
        return (self.weight * (self.x0 + self.x1) / total).sum(axis=-1)


def conditional_ratio(c: Counts) -> FloatArray:
    """[...] the ratio of rates that is most likely given the totals; 0 or inf where one arm has no event, 1
    where neither has.

    The events expected of the candidate rise with the ratio; Newton's method finds where they are its own.
    """
    x0, x1 = c.x0.sum(axis=-1), c.x1.sum(axis=-1)
    events = c.x0 + c.x1
    some = (x0 > 0) & (x1 > 0)
    rate0, rate1 = c.rates
    theta = np.where(some, np.log(np.where(some, rate1, 1.0) / np.where(some, rate0, 1.0)), 0.0)
    for _ in range(_STEPS):
        share = c.share(np.exp(theta))
        excess = np.where(some, x1 - (events * share).sum(axis=-1), 0.0)
        step = excess / np.maximum((events * share * (1 - share)).sum(axis=-1), 1e-300)
        theta = np.clip(theta + np.clip(step, -2.0, 2.0), -60.0, 60.0)
        if np.all(np.abs(step) < 1e-10):
            break
    ratio = np.exp(theta)
    return np.where((x0 > 0) & (x1 > 0), ratio, np.where(x1 > 0, np.inf, np.where(x0 > 0, 0.0, 1.0)))


def conditional_z(c: Counts, ratio: npt.ArrayLike, free: FloatArray) -> FloatArray:
    """Corrected signed root of the conditional likelihood ratio: large above the ratio, never NaN.

    free: the `conditional_ratio`.
    """
    r = np.asarray(ratio, dtype=np.float64)
    share, best = c.share(r), np.clip(free, 1e-26, 1e26)
    # of the binomial likelihood, the parts that know the ratio
    theta, likeliest = np.log(np.maximum(r, 1e-300)), np.log(best)
    log_ratio = c.x1.sum(axis=-1) * (likeliest - theta) - (_reach(c, best) - _reach(c, r)).sum(axis=-1)
    variances = (c.x0 + c.x1) * share * (1 - share)
    second, third = variances.sum(axis=-1), (variances * (1 - 2 * share)).sum(axis=-1)
    root = np.sign(free - r) * np.sqrt(2 * np.maximum(log_ratio, 0.0))
    # Bartlett's term of a binomial, (1 - p q) / (6 n p q), is the g^2 / 6 of `binary` where p is small
    excess = (variances * (1 - share * (1 - share))).sum(axis=-1) / np.maximum(second, 1e-150) ** 2
    return root / (1 + np.minimum(excess, 0.2) / 6) + _skewness(second, third) / 6


def _reach(c: Counts, ratio: FloatArray) -> FloatArray:
    """[..., S] events times the logarithm of what their total rate is proportional to."""
    total = c.n0 + c.n1 * ratio[..., None]
    return (c.x0 + c.x1) * np.log(np.where(total > 0, total, 1.0))


def difference_z(c: Counts, margin: npt.ArrayLike) -> FloatArray:
    """Corrected signed root of the Poisson likelihood ratio of the standardised rates under
    "candidate = baseline + margin": large above the margin, never NaN.
    """
    m = np.asarray(margin, dtype=np.float64)
    (rate0, rate1), (size0, size1) = c.rates, c.sizes
    base = constrained_rate(c, m)
    log_ratio = _poisson(size0, rate0, base) + _poisson(size1, rate1, base + m)
    total = np.maximum(size0 + size1, 1e-300)
    expected = c.information * (size0 * rate0 + size1 * rate1) / total
    usable = (expected > 0) & (c.variance > 0)
    heterogeneity = np.where(usable, c.variance / np.where(usable, expected, 1.0), 1.0)
    root = np.sign(rate1 - rate0 - m) * np.sqrt(2 * np.maximum(log_ratio, 0.0) / heterogeneity)
    size0, size1 = np.maximum(size0, 1e-300), np.maximum(size1, 1e-300)
    second = base / size0 + (base + m) / size1
    return corrected(root, _skewness(second, (base + m) / size1**2 - base / size0**2))


def constrained_rate(c: Counts, margin: FloatArray) -> FloatArray:
    """[...] most likely standardised rate of the baseline if the candidate's is higher by the margin.

    The root of total b^2 + (total margin - events) b - events0 margin = 0 at which both rates are positive.
    """
    (rate0, rate1), (size0, size1) = c.rates, c.sizes
    total = np.maximum(size0 + size1, 1e-300)
    events0, events = size0 * rate0, size0 * rate0 + size1 * rate1
    b = margin - events / total
    base = (-b + np.sqrt(np.maximum(b * b + 4 * events0 * margin / total, 0.0))) / 2
    return np.maximum(base, np.maximum(0.0, -margin))


def _poisson(size: FloatArray, rate: FloatArray, constrained: FloatArray) -> FloatArray:
    """Poisson log likelihood of the observed rate over that of the constrained one."""
    return size * (rel_entr(rate, np.maximum(constrained, 1e-300)) - rate + constrained)


def _skewness(second: FloatArray, third: FloatArray) -> FloatArray:
    """Within the range that 10 events allow."""
    some = second > 1e-150
    return np.where(some, np.clip(third / np.where(some, second, 1.0) ** 1.5, -0.4, 0.4), 0.0)


def count_z(c: Counts, *, margin: npt.ArrayLike, relative: bool) -> FloatArray:
    """[...] large where the effect is above the margin, as if events were Poisson; never NaN."""
    if relative:
        return conditional_z(c, 1 + np.asarray(margin, dtype=np.float64), conditional_ratio(c))
    return difference_z(c, margin)


def smaller_arm_events(c: Counts, *, margin: npt.ArrayLike, relative: bool) -> FloatArray:
    """[...] events expected in the arm with fewer of them, if the effect is the margin.

    A difference counts them at the rate of both arms together, so that an absolute margin can be judged
    when no event was ever seen.
    """
    m = np.asarray(margin, dtype=np.float64)
    if relative:
        events = c.x0 + c.x1
        of_candidate = (events * c.share(1 + m)).sum(axis=-1)
        return np.minimum(of_candidate, events.sum(axis=-1) - of_candidate)
    size0, size1 = c.sizes
    pooled = constrained_rate(c, m) + m * size1 / np.maximum(size0 + size1, 1e-300)
    return pooled * np.minimum(size0, size1)


def expected_events(
    n0: npt.ArrayLike,
    x0: npt.ArrayLike,
    n1: npt.ArrayLike,
    x1: npt.ArrayLike,
    *,
    margin: float,
    relative: bool,
) -> float:
    """`smaller_arm_events` of [S] counts."""
    return float(smaller_arm_events(Counts.of(n0, x0, n1, x1), margin=margin, relative=relative))


def count_score(
    n0: npt.ArrayLike,
    x0: npt.ArrayLike,
    n1: npt.ArrayLike,
    x1: npt.ArrayLike,
    *,
    margin: float,
    relative: bool,
    greater: bool,
    inflation: float = 1.0,
) -> Score | None:
    """Evidence for "candidate - baseline > margin" (`greater`), or "< margin".

    n0, x0, n1, x1: [S] observations and events of baseline and candidate in each stratum.
    margin: of the difference of rates, or of their ratio minus 1 when `relative`; signed, above -1 then.
    inflation: from `batch_inflation` of `count_contributions`.
    None below 10 `expected_events`, each as much less as clumps make of them (the inflation).
    """
    c = Counts.of(n0, x0, n1, x1)
    if float(smaller_arm_events(c, margin=margin, relative=relative)) < MINIMUM_EVENTS * inflation:
        return None
    z = float(count_z(c, margin=margin, relative=relative)) / math.sqrt(inflation)
    return Score(z if greater else -z, float(c.information), float(c.variance))


def count_contributions(
    n0: npt.ArrayLike, x0: npt.ArrayLike, n1: npt.ArrayLike, x1: npt.ArrayLike, *, relative: bool
) -> Contributions:
    """[..., S] scores and Poisson variances of strata at the estimated effect, for `batch_inflation`."""
    c = Counts.of(n0, x0, n1, x1)
    if relative:
        share = c.share(np.clip(conditional_ratio(c), 1e-26, 1e26))
        events = c.x0 + c.x1
        return Contributions(c.x1 - events * share, events * share * (1 - share))
    rate0, rate1 = c.rates
    size0, size1 = np.maximum(c.n0, 1.0), np.maximum(c.n1, 1.0)
    gap = c.x1 / size1 - c.x0 / size0 - (rate1 - rate0)[..., None]
    # an estimated rate for each arm: else more events in a small arm would pass for scatter
    common = (size0 * rate0[..., None] + size1 * rate1[..., None]) / (size0 + size1)
    separate = rate0[..., None] / size0 + rate1[..., None] / size1
    scale = separate / np.maximum(common * (1 / size0 + 1 / size1), 1e-300)
    return Contributions(c.weight * gap, c.weight * (c.x0 + c.x1) / (size0 + size1) * scale)


def count_drift(rate: float, effect: float, share0: float, *, margin: float, relative: bool) -> float:
    """Size of the expected z per root of information, if the baseline's rate is `rate` and nothing clumps.

    As `binary.binary_drift`.
    """
    rate1 = max(rate * (1 + effect) if relative else rate + effect, 0.0)
    n0, n1 = _MANY * share0, _MANY * (1 - share0)
    c = Counts.of(n0, n0 * rate, n1, n1 * rate1)
    return abs(float(count_z(c, margin=margin, relative=relative))) / math.sqrt(float(c.information))


def count_effect(
    n0: npt.ArrayLike,
    x0: npt.ArrayLike,
    n1: npt.ArrayLike,
    x1: npt.ArrayLike,
    *,
    relative: bool,
    inflation: float = 1.0,
) -> Effect | None:
    """Standardised rates and their difference, or the conditional estimate of their ratio - 1; Wald error.

    None without a stratum with both arms, or for the ratio to a baseline without events.
    """
    c = Counts.of(n0, x0, n1, x1)
    if c.information <= 0 or (relative and c.x0.sum() == 0):
        return None
    rate0, rate1 = (float(rate) for rate in c.rates)
    if not relative:
        size0, size1 = (float(size) for size in c.sizes)
        return Effect(rate0, rate1, rate1 - rate0, math.sqrt((rate0 / size0 + rate1 / size1) * inflation))
    ratio = conditional_ratio(c)
    share = c.share(ratio)
    known = float(((c.x0 + c.x1) * share * (1 - share)).sum())
    error = float(ratio) * math.sqrt(inflation / known) if known > 0 else 0.0
    return Effect(rate0, rate1, float(ratio) - 1, error)


def count_interval(
    n0: npt.ArrayLike,
    x0: npt.ArrayLike,
    n1: npt.ArrayLike,
    x1: npt.ArrayLike,
    *,
    relative: bool,
    critical: float,
    inflation: float = 1.0,
) -> tuple[float, float] | None:
    """The margins that neither one-sided claim beats at `critical`: the score inverted.

    Bounds out of reach are -1 or -inf below, and inf above. None where `count_effect` is.
    """
    effect = count_effect(n0, x0, n1, x1, relative=relative)
    if effect is None:
        return None
    c = Counts.of(n0, x0, n1, x1)
    limit = critical * math.sqrt(inflation)
    if relative:
        free = conditional_ratio(c)
        return invert(
            lambda margin: conditional_z(_repeated(c), 1 + margin, free),
            estimate=effect.effect,
            critical=limit,
            relative=True,
        )
    if math.isinf(limit):
        return (-math.inf, math.inf)
    # beyond any difference that is not rejected: the limits of each rate by the root transformation, and more
    (rate0, rate1), (size0, size1) = c.rates, c.sizes
    scale = 4 * float(
        (np.sqrt(rate0 * size0) + limit + 1) ** 2 / size0 + (np.sqrt(rate1 * size1) + limit + 1) ** 2 / size1
    )
    lower, upper = invert(
        lambda margin: difference_z(_repeated(c), scale * margin),
        estimate=effect.effect / scale,
        critical=limit,
        relative=False,
    )
    return (-math.inf if lower <= -1 else scale * lower, math.inf if upper >= 1 else scale * upper)


def _repeated(c: Counts) -> Counts:
    """With a leading axis that two margins are broadcast against."""
    return Counts(c.n0[None], c.x0[None], c.n1[None], c.x1[None], c.weight[None])
