"""Picks the comparison that fits a metric, and cuts the candidate's evidence out for it."""

from __future__ import annotations

from fairtrial.judge.comparison import Comparison
from fairtrial.judge.counts import Counts
from fairtrial.judge.evidence import Evidence
from fairtrial.judge.means import AdjustedMeans, Means, PairedMeans
from fairtrial.judge.proportions import PairedProportions, Proportions
from fairtrial.judge.quantiles import Quantiles
from fairtrial.judge.ratios import ClusteredProportions, Ratios
from fairtrial.judge.spec import Kind, MetricSpec


def compare(metric: MetricSpec, evidence: Evidence, candidate: str) -> Comparison:
    """One metric of a candidate against the baseline, on this evidence."""
    arm = evidence.arm(candidate)
    strata, name = evidence.strata, metric.name
    match metric.kind:
        case Kind.COUNT:
            table = evidence.counts[name]
            return Counts(metric, strata, table[:, 0], table[:, arm])
        case Kind.QUANTILE:
            histograms = evidence.histograms[name]
            return Quantiles(metric, strata, histograms[:, 0], histograms[:, arm])
        case Kind.BINARY | Kind.MEAN if metric.paired:
            return _paired(metric, evidence, arm)
        case Kind.BINARY if not metric.by_unit:
            table = evidence.binary[name]
            return Proportions(metric, strata, table[:, 0], table[:, arm])
        case Kind.BINARY | Kind.MEAN | Kind.RATIO:
            return _of_moments(metric, evidence, arm)


def _paired(metric: MetricSpec, evidence: Evidence, arm: int) -> Comparison:
    strata, name = evidence.strata, metric.name
    if metric.kind is Kind.BINARY:
        return PairedProportions(metric, strata, evidence.pair_tables[name][:, arm - 1])
    raw = evidence.uncapped.get(name)
    uncapped = None if raw is None else PairedMeans(metric, strata, raw[:, arm - 1])
    return PairedMeans(metric, strata, evidence.pair_moments[name][:, arm - 1], uncapped)


def _of_moments(metric: MetricSpec, evidence: Evidence, arm: int) -> Comparison:
    """By the moments that the metric has: of values, of values and a covariate, or of a ratio's two sums."""
    strata, name = evidence.strata, metric.name
    if metric.covariate is not None:
        tables, make = evidence.joint, AdjustedMeans
    elif metric.by_unit or metric.kind is Kind.RATIO:
        tables, make = evidence.joint, ClusteredProportions if metric.kind is Kind.BINARY else Ratios
    else:
        tables, make = evidence.moments, Means
    table, raw = tables[name], evidence.uncapped.get(name)
    uncapped = None if raw is None else make(metric, strata, raw[:, 0], raw[:, arm])
    return make(metric, strata, table[:, 0], table[:, arm], uncapped)
