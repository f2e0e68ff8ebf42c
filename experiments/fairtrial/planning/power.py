"""What it takes to decide: requests, time and power of each claim, before anything is run.

The boundary is the run's own, on its planned looks; the expected z at the horizon comes from the metric's
nuisance parameters (base rate, spread, disagreement), assumed or observed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fairtrial.judge.boundaries import alpha_of, planned_effect, planned_grid, required
from fairtrial.judge.compare import compare
from fairtrial.judge.comparison import Comparison
from fairtrial.judge.evidence import Evidence
from fairtrial.judge.geometry import Claim, claims_of, is_latency
from fairtrial.judge.spec import JudgeSpec, MetricSpec
from fairtrial.stats.batches import MINIMUM_BATCHES, expected_inflation
from fairtrial.stats.design import design_duration
from fairtrial.stats.minimum import minimum_for_quantile

#: True effects of a curve, in terms of the effect that the claim is planned for.
_CURVE = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)


@dataclass(frozen=True)
class Supply:
    """What the load brings: observations of the smaller arm (pairs, where paired)."""

    most: int  # by the horizon
    per_second: float
    share: float  # information an observation: 1 for a pair, n0 / (n0 + n1) else
    bounded_by_rows: bool = False  # more time brings no more of them
    seconds_until: Callable[[float], float] | None = None  # so many are there, where the rate changes


@dataclass(frozen=True)
class Point:
    """What happens at one true effect."""

    effect: float
    power: float  # probability that the claim crosses by the horizon
    mean: float  # expected observations until it crosses, or the horizon


@dataclass(frozen=True)
class ClaimPlan:
    """One claim of one metric, with what the load supplies."""

    metric: MetricSpec
    claim: Claim
    supply: Supply
    effect: float  # the true effect it is planned for
    designed: (
        bool  # whether that is given (a design effect, or none at all); else it is what the horizon shows
    )
    power: float  # at it, by the horizon
    needed: int | None  # observations with which the stated power is reached; None: with no number
    mean: float  # expected observations at it
    curve: tuple[Point, ...]

    @property
    def within_horizon(self) -> bool:
        return self.needed is not None and self.needed <= self.supply.most

    @property
    def seconds(self) -> float | None:
        """Time until the stated power is reached; None where time does not help."""
        if self.needed is None or (self.supply.bounded_by_rows and not self.within_horizon):
            return None
        if self.supply.seconds_until is not None:
            return self.supply.seconds_until(self.needed)
        return self.needed / self.supply.per_second


def plan_claims(spec: JudgeSpec, metric: MetricSpec, evidence: Evidence, supply: Supply) -> list[ClaimPlan]:
    """Both claims of a metric; `evidence` tells its nuisance parameters, pooled over the arms."""
    sized = replace(metric, max_observations=max(1, supply.most))
    comparison = compare(sized, evidence, spec.candidates[0])
    made = (_plan_claim(spec, comparison, claim, supply) for claim in claims_of(sized))
    return [plan for plan in made if plan is not None]


def _plan_claim(spec: JudgeSpec, comparison: Comparison, claim: Claim, supply: Supply) -> ClaimPlan | None:
    """None where no effect of any size could be shown: nothing is known of the spread."""
    noise = _measuring(spec, comparison)
    root = math.sqrt(supply.most * supply.share / noise)
    wanted = required(spec, alpha_of(spec, claim))

    def drift_at(effect: float) -> float:
        beyond = effect > claim.threshold if claim.greater else effect < claim.threshold
        if not beyond or not _possible(comparison.metric, effect):
            return 0.0
        return comparison.drift(claim.threshold, effect, supply.share) * root

    designed = planned_effect(comparison.metric, claim)
    shaped = designed is not None  # by what the run's boundary will be shaped
    if designed is None and claim.name == "safe" and claim.threshold != 0:
        designed = 0.0
    effect = designed if designed is not None else _shown_by(drift_at, claim, wanted, comparison.metric)
    if effect is None:
        return None
    planned = drift_at(effect)
    if planned <= 0:
        return None
    critical, fractions = planned_grid(spec, claim, planned if shaped else wanted)

    def point(true: float) -> Point:
        duration = design_duration(critical, fractions, drift_at(true))
        return Point(true, duration.crossing, duration.mean * supply.most)

    at = design_duration(critical, fractions, planned)
    least = _least(spec, comparison.metric, supply)
    reached = np.flatnonzero(at.by_look >= spec.power - 1e-6)
    if reached.size:
        needed = math.ceil(fractions[int(reached[0])] * supply.most)
    else:
        needed = math.ceil(supply.most * (wanted / planned) ** 2)
    distance = effect - claim.threshold
    return ClaimPlan(
        metric=comparison.metric,
        claim=claim,
        supply=supply,
        effect=effect,
        designed=designed is not None,
        power=at.crossing,
        needed=max(needed, least),
        mean=max(at.mean * supply.most, least),
        curve=tuple(
            point(claim.threshold + distance * part)
            for part in _CURVE
            if _possible(comparison.metric, claim.threshold + distance * part)
        ),
    )


def _measuring(spec: JudgeSpec, comparison: Comparison) -> float:
    """What it costs to measure the variance by time batches, half of them, as at a typical decision."""
    if not comparison.batches()[1]:
        return 1.0
    typical = expected_inflation(spec.max_duration / spec.batch_seconds / 2)
    return max(1.0, typical / (comparison.inflation or 1.0))


def _least(spec: JudgeSpec, metric: MetricSpec, supply: Supply) -> int:
    """Observations before the metric can be looked at: of its quantile, and time batches for latencies."""
    least = spec.min_observations
    if metric.quantile is not None:
        least = max(least, minimum_for_quantile(metric.quantile))
    if is_latency(metric):
        least = max(least, math.ceil(MINIMUM_BATCHES * spec.batch_seconds * supply.per_second))
    return min(least, supply.most)


def _shown_by(
    drift_at: Callable[[float], float], claim: Claim, wanted: float, metric: MetricSpec
) -> float | None:
    """The effect that brings this drift, by doubling and bisection; None if none does."""
    sign = 1.0 if claim.greater else -1.0
    low, high = 0.0, 1e-6
    while drift_at(claim.threshold + sign * high) < wanted:
        low, high = high, high * 2
        if high > 1e6 or not _possible(metric, claim.threshold + sign * high):
            return None
    for _ in range(60):
        middle = (low + high) / 2
        if drift_at(claim.threshold + sign * middle) < wanted:
            low = middle
        else:
            high = middle
    return claim.threshold + sign * high


def _possible(metric: MetricSpec, effect: float) -> bool:
    """Nothing falls by all of itself, and a rate moves by less than 1."""
    if metric.margin.relative:
        return effect > -1
    return metric.kind != "binary" or -1 < effect < 1
