"""What every metric of a plan needs to be decided, paired and unpaired: by a pilot, or typical figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fairtrial.controller.progression import Step
from fairtrial.evidence.builder import EvidenceBuilder
from fairtrial.evidence.sources import open_source
from fairtrial.experiment.model import Experiment
from fairtrial.judge.evidence import Evidence
from fairtrial.judge.spec import JudgeSpec, Kind, MetricSpec
from fairtrial.planning.assumed import assumed
from fairtrial.planning.claims import foreseen, horizon, shares
from fairtrial.planning.power import ClaimPlan, Supply, plan_claims
from fairtrial.planning.sending import sending_of


@dataclass(frozen=True)
class Needs:
    """One metric in one way of comparing."""

    metric: MetricSpec
    supply: Supply
    chosen: bool  # the way that the run takes; the other is there to compare with
    claims: tuple[ClaimPlan, ...]
    basis: str  # what the nuisance parameters rest on, in words

    @property
    def seconds(self) -> float | None:
        """Until the slower of its claims is decided; None where that is not within reach."""
        times = [claim.seconds for claim in self.claims]
        return max((t for t in times if t is not None), default=None) if None not in times else None


def needs_of(
    experiment: Experiment, claims: JudgeSpec, steps: Sequence[Step], rows: int, pilot: Path | None
) -> list[Needs]:
    """Every metric, in the way it will be compared and, where there is another, in that.

    pilot: recorded observations of the same arms. Raises UsageError if they cannot be read.
    """
    made: list[Needs] = []
    for metric in claims.metrics:
        for variant in _variants(metric, experiment):
            spec = replace(claims, metrics=(variant,))
            if pilot is not None:
                evidence: Evidence | None = _observed(spec, pilot)
                basis = f"as seen in {pilot}"
            else:
                taken = assumed(spec, variant)
                evidence, basis = taken.evidence, f"assuming {taken.words}"
            supply = _supply(experiment, steps, variant, rows)
            planned = () if evidence is None else tuple(plan_claims(spec, variant, evidence, supply))
            made.append(Needs(variant, supply, variant.paired == metric.paired, planned, basis))
    return made


def _variants(metric: MetricSpec, experiment: Experiment) -> list[MetricSpec]:
    """The metric as it is, and paired where it is not or unpaired where it is."""
    possible = metric.kind in (Kind.BINARY, Kind.MEAN) and not metric.by_unit and metric.covariate is None
    if not possible or not metric.once_per_row or not experiment.spec.traffic.paired:
        return [metric]
    return [metric, replace(metric, paired=not metric.paired)]


def _supply(experiment: Experiment, steps: Sequence[Step], metric: MetricSpec, rows: int) -> Supply:
    if experiment.spec.traffic.live is not None:
        return _live_supply(experiment, steps)
    load = experiment.spec.traffic.driven
    sending = sending_of(experiment)
    pairs, smaller = horizon(experiment, steps)
    if metric.paired:
        most, share = pairs, 1.0
    else:
        most = smaller if load.paired == metric.paired or not metric.once_per_row else pairs
        arrivals = sending.arrivals
        most_of_split = max(max(step.weights.values()) for step in foreseen(experiment, steps)) / 100
        larger = pairs + (arrivals - pairs) * most_of_split
        share = larger / (most + larger)
    bounded = metric.once_per_row and rows < most
    return Supply(
        most=max(1, min(most, rows) if metric.once_per_row else most),
        per_second=max(most, 1) / sending.seconds,
        share=share,
        bounded_by_rows=bounded,
        seconds_until=lambda observations: sending.seconds_until(observations / max(most, 1)),
    )


def _live_supply(experiment: Experiment, steps: Sequence[Step]) -> Supply:
    _, smaller = horizon(experiment, steps)
    larger = max(max(shares(step).values()) for step in foreseen(experiment, steps))
    least = min(min(shares(step).values()) for step in foreseen(experiment, steps))
    return Supply(
        most=max(1, smaller),
        per_second=max(smaller, 1) / experiment.spec.traffic.bounds.max_duration,
        share=larger / (larger + least),
        bounded_by_rows=False,
    )


def _observed(spec: JudgeSpec, pilot: Path) -> Evidence:
    builder = EvidenceBuilder(spec)
    for batch in open_source(pilot).batches():
        builder.add(batch)
    return builder.evidence
