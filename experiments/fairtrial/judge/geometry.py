"""Which way is harm: turns roles, directions and margins into one-sided claims about `effect`.

`effect` is always candidate - baseline, or candidate / baseline - 1 where the margin is relative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fairtrial.judge.spec import JudgeSpec, Kind, MetricSpec, Role
from fairtrial.judge.verdict import ClaimName
from fairtrial.stats.buckets import LogBuckets

#: Below and above these a latency is as good as none, or as never (seconds).
_LATENCY_RANGE = (1e-5, 3600.0)
#: For any other positive quantity, whose unit is not known.
_ANY_RANGE = (1e-9, 1e12)


@dataclass(frozen=True)
class Claim:
    """ "effect > threshold" if `greater`, else "effect < threshold"."""

    name: ClaimName
    threshold: float
    greater: bool
    against: bool  # crossing it rolls back; else it is one of those that promote


def claims_of(metric: MetricSpec) -> tuple[Claim, Claim]:
    """The metric's claim against the candidate, and the one for it."""
    better = metric.higher_is_better
    margin = metric.margin.value
    if metric.role is Role.GUARDRAIL:
        threshold = -margin if better else margin
        return (
            Claim("harmed", threshold, greater=not better, against=True),
            Claim("safe", threshold, greater=better, against=False),
        )
    return (
        Claim("worse", 0.0, greater=not better, against=True),
        Claim("met", margin if better else -margin, greater=better, against=False),
    )


def claims_against(spec: JudgeSpec) -> int:
    """Number of claims that share the rate of false rollbacks of one candidate."""
    return len(spec.metrics)


def quantile_buckets(metric: MetricSpec) -> LogBuckets:
    """The buckets of a metric's histograms: its margin is a whole number of them."""
    low, high = _LATENCY_RANGE if metric.column == "latency" else _ANY_RANGE
    threshold = claims_of(metric)[1].threshold
    return LogBuckets.for_margin(threshold, relative=metric.margin.relative, low=low, high=high)


def reporting_buckets() -> LogBuckets:
    """The buckets of an arm's latencies in reports."""
    return LogBuckets.for_margin(0.0, relative=False, low=_LATENCY_RANGE[0], high=_LATENCY_RANGE[1])


def is_latency(metric: MetricSpec) -> bool:
    """Whether observations close in time are alike: queues and pauses outlast a request."""
    return metric.column == "latency"


def most_looks(spec: JudgeSpec) -> int:
    """Looks that fit the duration; what comes after the last is not looked at."""
    return max(1, math.floor(spec.max_duration / spec.look_interval + 1e-9))


def check_spec(spec: JudgeSpec) -> None:
    """Raises ValueError in words if the spec asks for what cannot be judged."""
    if not spec.metrics:
        raise ValueError("there is no metric to judge by")
    if not spec.candidates or spec.baseline in spec.candidates:
        raise ValueError("there must be candidates, and the baseline is not one of them")
    if len({metric.name for metric in spec.metrics}) < len(spec.metrics):
        raise ValueError("two metrics have the same name")
    if spec.look_interval <= 0 or spec.batch_seconds <= 0 or spec.max_duration <= 0:
        raise ValueError("look interval, batch length and duration must be positive")
    for metric in spec.metrics:
        _check_metric(metric)


def _check_metric(metric: MetricSpec) -> None:
    name = metric.name
    if metric.max_observations <= 0:
        raise ValueError(f"metric {name} has no horizon: max_observations must be positive")
    if metric.margin.value < 0:
        raise ValueError(f"metric {name}: a margin cannot be negative")
    if metric.margin.relative and metric.margin.value >= 1 and claims_of(metric)[1].threshold < 0:
        raise ValueError(f"metric {name}: nothing positive can fall by 100% or more")
    if metric.by_unit and (metric.paired or metric.once_per_row or metric.kind is Kind.QUANTILE):
        raise ValueError(f"metric {name}: users are compared by sums, not by pair, row or quantile")
    if metric.kind is Kind.RATIO and metric.denominator is None:
        raise ValueError(f"metric {name}: a ratio needs a denominator")
    if metric.kind is Kind.RATIO and (metric.paired or metric.once_per_row):
        raise ValueError(f"metric {name}: ratios are compared over all requests, not by pair or row")
    if metric.covariate is not None and metric.paired:
        raise ValueError(f"metric {name}: a pair shares its covariate, so that there is nothing to adjust")
    if metric.kind is Kind.QUANTILE:
        if metric.quantile is None or not 0 < metric.quantile < 1:
            raise ValueError(f"metric {name} needs a quantile between 0 and 1")
        if metric.paired or metric.once_per_row:
            raise ValueError(f"metric {name}: quantiles are compared over all requests, not by pair or row")
