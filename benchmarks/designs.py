"""The effects that `plan` says are shown with the stated power: they are simulated by `errors.py`."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from fairtrial.judge.evidence import Evidence, Stratum
from fairtrial.judge.geometry import quantile_buckets
from fairtrial.judge.spec import JudgeSpec, Kind, Margin, MetricSpec, Role
from fairtrial.planning.power import Supply, plan_claims
from scipy.special import ndtr
from simulated import LOOKS, PER_LOOK, Claim, LogNormal

_SIZE = 1_000_000


def planned_effect(
    metric: MetricSpec, evidence: Evidence, *, alpha: float, power: float, share: float
) -> float:
    """The regression that the plan says is found with this power, of `LOOKS` looks at `PER_LOOK` requests, of
    which the candidate has `share` (all of them are pairs where the metric is paired).
    """
    spec = _spec(metric, alpha, power)
    supply = Supply(metric.max_observations, PER_LOOK, 1.0 if metric.paired else 1 - share)
    return next(plan.effect for plan in plan_claims(spec, metric, evidence, supply) if plan.claim.against)


def _spec(metric: MetricSpec, alpha: float, power: float) -> JudgeSpec:
    return JudgeSpec(
        "v1",
        ("v2",),
        (metric,),
        alpha=alpha,
        power=power,
        planned_looks=LOOKS,
        batch_seconds=1.0,
        max_duration=float(LOOKS),
    )


def _guardrail(kind: Kind, column: str, claim: Claim, most: float, **more: object) -> MetricSpec:
    margin = Margin(claim.margin, claim.relative)
    return MetricSpec("m", kind, Role.GUARDRAIL, column, False, margin, max_observations=round(most), **more)  # pyright: ignore[reportArgumentType]


def _alike(metric: MetricSpec) -> Evidence:
    evidence = Evidence.empty(_spec(metric, 0.05, 0.8))
    evidence.strata = (Stratum(None, 0),)
    return evidence


@cache
def of_rates(rate: float, claim: Claim, *, alpha: float, power: float, share: float) -> float:
    """Of two proportions, of which the baseline's is `rate`."""
    metric = _guardrail(Kind.BINARY, "error", claim, LOOKS * PER_LOOK * share)
    evidence = _alike(metric)
    evidence.binary["m"] = np.tile(np.array([_SIZE, round(rate * _SIZE)]), (1, 2, 1))
    return planned_effect(metric, evidence, alpha=alpha, power=power, share=share)


@cache
def of_pairs(cells: tuple[float, float, float, float], claim: Claim, *, alpha: float, power: float) -> float:
    """Of pairs (11, 10, 01, 00) without the effect."""
    metric = _guardrail(Kind.BINARY, "score", claim, LOOKS * PER_LOOK, paired=True)
    evidence = _alike(metric)
    evidence.pair_tables["m"] = np.round(np.array(cells) * _SIZE).astype(np.int64)[None, None]
    return planned_effect(metric, evidence, alpha=alpha, power=power, share=0.5)


@cache
def of_mean(values: LogNormal, claim: Claim, *, alpha: float, power: float, share: float) -> float:
    """Of mean latencies."""
    metric = _guardrail(Kind.MEAN, "latency", claim, LOOKS * PER_LOOK * share)
    evidence = _alike(metric)
    mean = math.exp(values.centre + values.spread**2 / 2)
    squares = mean**2 * math.expm1(values.spread**2) * _SIZE
    evidence.moments["m"] = np.tile(np.array([_SIZE, mean, squares, 0.0]), (1, 2, 1))
    return planned_effect(metric, evidence, alpha=alpha, power=power, share=share)


@cache
def of_quantile(
    values: LogNormal, q: float, claim: Claim, *, alpha: float, power: float, share: float
) -> float:
    """Of a quantile of latencies."""
    metric = _guardrail(Kind.QUANTILE, "latency", claim, LOOKS * PER_LOOK * share, quantile=q)
    evidence = _alike(metric)
    below = ndtr((np.log(quantile_buckets(metric).edges) - values.centre) / values.spread)
    counts = np.round(np.diff(np.concatenate([[0.0], below, [1.0]])) * _SIZE).astype(np.int64)
    evidence.histograms["m"] = np.tile(counts, (1, 2, 1))
    return planned_effect(metric, evidence, alpha=alpha, power=power, share=share)
