"""What a stored baseline changes of a plan, and what of it cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.judge.geometry import is_latency
from fairtrial.judge.machine import MARGIN
from fairtrial.judge.spec import JudgeSpec, Kind, Role, StoredBaseline
from fairtrial.judge.wording import percent


@dataclass(frozen=True)
class Stored:
    """An arm of an earlier run, whose observations are the baseline's in this one."""

    run: str  # its id, or the file
    arm: str  # what it was called there
    seconds: float  # of load that were recorded
    paired: bool  # whether the same arrivals were sent, so that answers are paired by row
    reference: tuple[float, ...]  # seconds of the fixed computation, in order of time
    incomparable: str | None  # why its latencies cannot be compared; None where the reference decides
    weakness: str | None  # what every verdict must say of it
    unpaired: str | None = None  # why answers are not paired by row, after "since"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Stored:
        fields: dict[str, Any] = {**raw, "reference": tuple(raw["reference"])}
        return cls(**fields)

    @property
    def words(self) -> str:
        return f"the stored run {self.run}"


def check_alone(experiment: Experiment, option: str) -> None:
    """Raises UsageError for an experiment of which no arm can be deployed and loaded by itself."""
    spec = experiment.spec
    if spec.elsewhere or spec.traffic.live is not None or not spec.traffic.paired:
        raise UsageError(f"{option}: one arm is deployed here, and sent a load test of replayed rows")
    if spec.deployment is not None:
        raise UsageError(f"{option}: say the arm's modelUri rather than spec.deployment")
    if option == "--baseline-run" and len(spec.candidates) > 1:
        raise UsageError(f"{option}: one candidate at a time is loaded alone, as the baseline was")


def with_stored(claims: JudgeSpec, stored: Stored) -> JudgeSpec:
    """The claims of a run whose baseline is stored. Raises UsageError for what two runs cannot show."""
    for metric in claims.metrics:
        wide = metric.margin.relative and metric.margin.value >= MARGIN and metric.role is Role.GUARDRAIL
        if is_latency(metric) and not (wide and metric.kind in (Kind.QUANTILE, Kind.MEAN)):
            raise UsageError(
                f"metric {metric.name}: against a stored run a latency is a guardrail whose maxRegression is "
                f"{percent(MARGIN)} or more of the baseline's: by less two runs differ through their machine"
            )
    return replace(
        claims,
        metrics=tuple(replace(metric, paired=metric.paired and stored.paired) for metric in claims.metrics),
        stored=StoredBaseline(stored.words, stored.reference, stored.incomparable),
        weaknesses=(
            *claims.weaknesses,
            *((stored.weakness,) if stored.weakness else ()),
            *_unpaired(claims, stored),
        ),
    )


def _unpaired(claims: JudgeSpec, stored: Stored) -> tuple[str, ...]:
    if stored.unpaired is None or not any(metric.paired for metric in claims.metrics):
        return ()
    return (
        f"Scores are not paired by row, since {stored.unpaired}: a small difference takes longer to show.",
    )
