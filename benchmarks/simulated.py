"""Whole runs of an experiment, simulated many at a time, for the benchmarks of the verdicts.

The statistics are those of `fairtrial.stats`, over a leading axis of runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
from fairtrial.stats.batches import inflations
from fairtrial.stats.binary import MINIMUM_EVENTS, table_events, table_z
from fairtrial.stats.buckets import LogBuckets
from fairtrial.stats.clustered import clustered_table, clustered_z
from fairtrial.stats.counts import Counts, count_z, smaller_arm_events
from fairtrial.stats.exceedance import Move, exceedance_contributions, exceedances, pooled_cut, shape_factor
from fairtrial.stats.mean import MAXIMUM_SKEWNESS, contributions, pooled_skewness, stratified_means
from fairtrial.stats.moments import means_z
from fairtrial.stats.paired import MINIMUM_DISCORDANT, PairTable, pair_discordant, pair_z
from fairtrial.stats.strata import TableTerms, standardise, table, table_terms
from scipy.special import ndtri

Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

LOOKS, PER_LOOK = 200, 100


class Trial(Protocol):
    """A number of simulated runs of one experiment."""

    def z(self, look: int, live: Index) -> Floats:
        """Evidence above the margin of the runs `live` at a look (1, 2, ...); NaN before there is enough."""
        ...


@dataclass(frozen=True)
class Claim:
    """What is claimed. The statistics are tested in both directions."""

    margin: float
    relative: bool
    greater: bool


# --- binary ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Matrix:
    """Statistics computed for all looks at once."""

    values: Floats  # [R, K]

    def z(self, look: int, live: Index) -> Floats:
        return self.values[live, look - 1]


def two_proportions(
    rng: np.random.Generator, runs: int, rates: tuple[Floats, Floats], share: Floats, claim: Claim
) -> Matrix:
    """Unpaired; one stratum a look, with its own rates and share of the candidate ([looks] each)."""
    size = (runs, len(share))
    n1 = rng.binomial(PER_LOOK, share, size)
    n0 = PER_LOOK - n1
    terms = table_terms(n0, rng.binomial(n0, rates[0]), n1, rng.binomial(n1, rates[1]))
    t = standardise(TableTerms(*(np.cumsum(term, axis=-1) for term in terms)))
    enough = table_events(t, margin=claim.margin, relative=claim.relative) >= MINIMUM_EVENTS
    return Matrix(np.where(enough, table_z(t, margin=claim.margin, relative=claim.relative), np.nan))


def paired_proportions(
    rng: np.random.Generator, runs: int, probabilities: tuple[float, float, float, float], claim: Claim
) -> Matrix:
    """Pairs (11, 10, 01, 00)."""
    counts = np.cumsum(rng.multinomial(PER_LOOK, probabilities, (runs, LOOKS)), axis=1).astype(np.float64)
    t = PairTable(*np.moveaxis(counts, -1, 0))
    enough = pair_discordant(t, margin=claim.margin, relative=claim.relative) >= MINIMUM_DISCORDANT
    return Matrix(np.where(enough, pair_z(t, margin=claim.margin, relative=claim.relative), np.nan))


# --- latency --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LogNormal:
    """exp(centre + spread N(0, 1))."""

    centre: float
    spread: float

    def quantile(self, q: float) -> float:
        return math.exp(self.centre + self.spread * float(ndtri(q)))

    def times(self, factor: float) -> LogNormal:
        return replace(self, centre=self.centre + math.log(factor))


def latencies(
    rng: np.random.Generator, runs: int, arms: tuple[LogNormal, LogNormal], share: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """[R, looks, PER_LOOK] values, and which are the candidate's."""
    candidate = np.arange(PER_LOOK) < rng.binomial(PER_LOOK, share, (runs, LOOKS))[..., None]
    noise = rng.standard_normal((runs, LOOKS, PER_LOOK), dtype=np.float32)
    first, second = (np.exp(np.float32(arm.centre) + np.float32(arm.spread) * noise) for arm in arms)
    return np.where(candidate, second, first), candidate


def moments_by_arm(
    values: npt.NDArray[np.floating], candidate: npt.NDArray[np.bool_]
) -> tuple[list[Floats], Floats]:
    """n, mean, m2 of baseline and of candidate, [R, K] each, and the skewness of all up to each look."""
    moments: list[Floats] = []
    cubes: list[Floats] = []
    for of_arm in (~candidate, candidate):
        n = of_arm.sum(axis=-1).astype(np.float64)
        mean = (values * of_arm).sum(axis=-1, dtype=np.float64) / np.maximum(n, 1)
        off = (values - mean[..., None]) * of_arm
        moments += [n, mean, (off**2).sum(axis=-1)]
        cubes.append((off**3).sum(axis=-1))
    running = (moments[0], moments[2], cubes[0], moments[3], moments[5], cubes[1])
    return moments, pooled_skewness(*(np.cumsum(a, axis=-1)[..., None] for a in running))


@dataclass(frozen=True)
class TwoMeans:
    """Unpaired means, with serial correlation measured at every look."""

    moments: list[Floats]  # n0, mean0, m2_0, n1, mean1, m2_1, [R, K] each
    skewness: Floats  # [R, K]
    claim: Claim

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        runs: int,
        arms: tuple[LogNormal, LogNormal],
        share: float,
        claim: Claim,
    ) -> TwoMeans:
        values, candidate = latencies(rng, runs, arms, share)
        return cls(*moments_by_arm(values, candidate), claim)

    def z(self, look: int, live: Index) -> Floats:
        seen = [a[live, :look] for a in self.moments]
        m = stratified_means(*seen, self.skewness[live, look - 1])
        ratio = m.mean1 / m.mean0 if self.claim.relative else np.ones_like(m.mean0)
        c = contributions(*seen, ratio=ratio[:, None], difference=(m.mean1 - ratio * m.mean0)[:, None])
        inflated = replace(m, inflation=inflations(c.scores, c.variances))
        return means_z(inflated, margin=self.claim.margin, relative=self.claim.relative)


@dataclass(frozen=True)
class TwoQuantiles:
    """Unpaired quantiles, with serial correlation measured at every look.

    `quantile_score` sums over strata at each look; this keeps running sums of the same, and a test
    holds the two to each other.
    """

    above: tuple[Floats, Floats]  # [R, K, E] exceedances of each look's requests
    sizes: tuple[Floats, Floats]  # [R, K] requests
    curves: tuple[Floats, Floats]  # [R, K, E] standardised over the looks so far
    effective: tuple[Floats, Floats]  # [R, K] effective sizes so far
    buckets: LogBuckets
    q: float
    claim: Claim

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        runs: int,
        arms: tuple[LogNormal, LogNormal],
        share: float,
        q: float,
        claim: Claim,
    ) -> TwoQuantiles:
        values, candidate = latencies(rng, runs, arms, share)
        # only buckets around the quantiles matter: all others are open ends
        ends = sorted(arm.quantile(q) for arm in arms)
        buckets = LogBuckets.for_margin(
            claim.margin, relative=claim.relative, low=ends[0] / 1.5, high=ends[1] * 1.7
        )
        index = np.searchsorted(buckets.edges.astype(np.float32), values, side="right")
        place = np.arange(runs * LOOKS)[:, None] * buckets.count + index.reshape(runs * LOOKS, -1)
        which = candidate.reshape(runs * LOOKS, -1)
        shape = (runs, LOOKS, buckets.count)
        above0, above1 = (
            exceedances(np.bincount(place[of_arm], minlength=math.prod(shape)).reshape(shape))
            for of_arm in (~which, which)
        )
        n1 = candidate.sum(axis=-1).astype(np.float64)
        n0 = PER_LOOK - n1
        running = [np.cumsum(term, axis=-1) for term in table_terms(n0, 0, n1, 0)]
        total = standardise(TableTerms(*running))
        weight = table_terms(n0, 0, n1, 0).weight
        curve0, curve1 = (
            np.cumsum(above * (weight / np.maximum(n, 1))[..., None], axis=1)
            / np.maximum(running[0], 1e-9)[..., None]
            for above, n in ((above0, n0), (above1, n1))
        )
        return cls(
            (above0, above1), (n0, n1), (curve0, curve1), (total.size0, total.size1), buckets, q, claim
        )

    def z(self, look: int, live: Index) -> Floats:
        tail = 1 - self.q

        move = Move(self.buckets, self.claim.margin, self.claim.relative)
        curve0, curve1 = (curve[live, look - 1] for curve in self.curves)
        size0, size1 = (size[live, look - 1] for size in self.effective)
        share0 = size0 / (size0 + size1)
        position = pooled_cut(curve0, curve1, share0, tail=tail, move=move)
        factor = shape_factor(curve0, curve1, share0, tail=tail, move=move)
        x0, x1 = self._at(0, position, look, live), self._at(1, move(position), look, live)
        n0, n1 = (n[live, :look] for n in self.sizes)
        c = exceedance_contributions(n0, x0, n1, x1)
        z = table_z(table(n0, x0, n1, x1), margin=0.0, relative=False)
        return z / np.sqrt(factor * inflations(c.scores, c.variances))

    def _at(self, arm: int, position: Floats, look: int, live: Index) -> Floats:
        """[live, look] exceedances of the cut, gathered without copying the histograms."""
        last = self.buckets.count - 2
        clipped = np.clip(position, 0, last)
        lower = np.minimum(clipped.astype(np.int64), last - 1)
        runs, looks = live[:, None], np.arange(look)[None, :]
        left = self.above[arm][runs, looks, lower[:, None]]
        right = self.above[arm][runs, looks, lower[:, None] + 1]
        return left + (clipped - lower)[:, None] * (right - left)


# --- counts, users, rewards -----------------------------------------------------------------------------


def two_counts(
    rng: np.random.Generator, runs: int, rates: tuple[float, float], share: float, claim: Claim
) -> Matrix:
    """Poisson events, each look split alike, so that its looks are one stratum."""
    n1 = np.full((runs, LOOKS), round(PER_LOOK * share))
    n0 = PER_LOOK - n1
    columns = (n0, rng.poisson(n0 * rates[0]), n1, rng.poisson(n1 * rates[1]))
    c = Counts.of(*(np.cumsum(column, axis=-1)[..., None] for column in columns))
    z = count_z(c, margin=np.full((runs, LOOKS), claim.margin), relative=claim.relative)
    enough = smaller_arm_events(c, margin=claim.margin, relative=claim.relative) >= MINIMUM_EVENTS
    return Matrix(np.where(enough, z, np.nan))


@dataclass(frozen=True)
class Users:
    """A proportion by user: 5 requests a user on average, and users who differ in their own rates."""

    joint: tuple[Floats, Floats]  # [R, K, 6] moments over users of events and requests
    claim: Claim

    @classmethod
    def draw(
        cls, rng: np.random.Generator, runs: int, rates: tuple[float, float], share: float, claim: Claim
    ) -> Users:
        shape = (runs, LOOKS, PER_LOOK)
        candidate = np.arange(PER_LOOK) < rng.binomial(PER_LOOK, share, (runs, LOOKS))[..., None]
        requests = rng.geometric(0.2, shape)
        rate = np.where(candidate, rates[1], rates[0])
        events = rng.binomial(requests, rng.beta(2 * rate, 2 * (1 - rate)))
        joint = (joint_moments(of_arm, events, requests) for of_arm in (~candidate, candidate))
        return cls(tuple(joint), claim)

    def z(self, look: int, live: Index) -> Floats:
        arms = [arm[live, :look] for arm in self.joint]
        t, (margin, relative) = clustered_table(*arms), (self.claim.margin, self.claim.relative)
        enough = table_events(t, margin=margin, relative=relative) >= MINIMUM_EVENTS
        return np.where(enough, clustered_z(*arms, t, margin=margin, relative=relative), np.nan)


def joint_moments(members: npt.NDArray[np.bool_], first: Index, second: Index) -> Floats:
    """[R, K, 6] n, means, squares and products about them, of the members among [R, K, N]."""
    n = members.sum(axis=-1)
    safe = np.maximum(n, 1)
    means = [(values * members).sum(axis=-1) / safe for values in (first, second)]
    off = [(v - m[..., None]) * members for v, m in zip((first, second), means, strict=True)]
    products = [(a * b).sum(axis=-1) for a, b in ((off[0], off[0]), (off[1], off[1]), (off[0], off[1]))]
    return np.stack([n, *means, *products], axis=-1)


@dataclass(frozen=True)
class Rewards:
    """Heavy-tailed rewards, capped: most are 0, the others Pareto without a variance."""

    moments: list[Floats]
    skewness: Floats  # [R, K]
    claim: Claim

    @classmethod
    def draw(cls, rng: np.random.Generator, runs: int, factor: float, share: float, claim: Claim) -> Rewards:
        shape = (runs, LOOKS, PER_LOOK)
        candidate = np.arange(PER_LOOK) < rng.binomial(PER_LOOK, share, (runs, LOOKS))[..., None]
        values = np.where(rng.random(shape) < 0.3, 1 + rng.pareto(1.5, shape), 0.0)
        values = np.minimum(values, REWARD_CAP) * np.where(candidate, factor, 1.0)
        return cls(*moments_by_arm(values, candidate), claim)

    def z(self, look: int, live: Index) -> Floats:
        m = stratified_means(*(a[live, :look] for a in self.moments), self.skewness[live, look - 1])
        z = means_z(m, margin=self.claim.margin, relative=self.claim.relative)
        return np.where(np.abs(m.skewness) > MAXIMUM_SKEWNESS, np.nan, z)


#: One reward in about 90 is larger.
REWARD_CAP = 20.0
