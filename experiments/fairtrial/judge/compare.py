"""Picks the comparison that fits a metric, and cuts the candidate's evidence out for it."""

from __future__ import annotations

from fairtrial.judge.comparison import Comparison
from fairtrial.judge.evidence import Evidence
from fairtrial.judge.means import Means, PairedMeans
from fairtrial.judge.proportions import PairedProportions, Proportions
from fairtrial.judge.quantiles import Quantiles
from fairtrial.judge.spec import Kind, MetricSpec


def compare(metric: MetricSpec, evidence: Evidence, candidate: str) -> Comparison:
    """One metric of a candidate against the baseline, on this evidence."""
    arm = evidence.arm(candidate)
    strata = evidence.strata
    match metric.kind:
        case Kind.BINARY if metric.paired:
            return PairedProportions(metric, strata, evidence.pair_tables[metric.name][:, arm - 1])
        case Kind.BINARY:
            table = evidence.binary[metric.name]
            return Proportions(metric, strata, table[:, 0], table[:, arm])
        case Kind.MEAN if metric.paired:
            return PairedMeans(metric, strata, evidence.pair_moments[metric.name][:, arm - 1])
        case Kind.MEAN:
            moments = evidence.moments[metric.name]
            return Means(metric, strata, moments[:, 0], moments[:, arm])
        case Kind.QUANTILE:
            histograms = evidence.histograms[metric.name]
            return Quantiles(metric, strata, histograms[:, 0], histograms[:, arm])
