"""A verdict and everything that it rests on. Pure data; `verdict.json` is this, spelt in camelCase."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Decision(StrEnum):
    PROMOTE = "PROMOTE"
    ROLLBACK = "ROLLBACK"
    INCONCLUSIVE = "INCONCLUSIVE"
    CONTINUE = "CONTINUE"


ClaimName = Literal["harmed", "safe", "met", "worse"]


@dataclass(frozen=True)
class ClaimResult:
    """One one-sided claim at this look. It holds once `statistic` >= `boundary`, and stays so."""

    claim: ClaimName
    sentence: str  # "p99 latency of v2 exceeds that of v1 by more than 10%"
    statistic: float | None  # z; None before there is enough data
    boundary: float | None  # critical z at this look
    alpha: float
    information: float  # fraction of the planned maximum, 0..1
    crossed: bool
    crossed_at_look: int | None = None
    p_value: float | None = None  # sequential p-value, where one exists
    looks: int = 0  # at which there was enough data to judge it


@dataclass(frozen=True)
class Uncapped:
    """What a capped metric shows without its cap: for information, never decisive."""

    cap: float
    baseline: float
    candidate: float
    effect: float


@dataclass(frozen=True)
class MetricResult:
    name: str
    role: str
    kind: str
    method: str
    n_baseline: int
    n_candidate: int
    n_pairs: int | None
    baseline: float | None  # estimate in the metric's unit
    candidate: float | None
    effect: float | None  # candidate - baseline, or candidate / baseline - 1 when `relative`
    interval: tuple[float, float] | None  # for `effect`, valid at every look
    level: float  # of the interval, e.g. 0.9
    relative: bool
    margin: float
    higher_is_better: bool
    claims: tuple[ClaimResult, ...]
    waiting: str | None = None  # why there is no statistic yet, in words
    quantile: float | None = None
    column: str = ""  # of the observations
    slo: float | None = None
    unit: str = "request"  # what is compared: request, row, pair or user
    test: str | None = None  # which test judged a fixed horizon
    effective_size: float | None = None  # observations an arm, less what serial correlation makes of them
    uncapped: Uncapped | None = None
    standard_error: float | None = None  # of `effect`, by Wald; for display and for dividing traffic


@dataclass(frozen=True)
class SampleRatio:
    expected: dict[str, float]  # arm -> fraction over all segments
    observed: dict[str, int]  # arm -> units
    e_value: float
    threshold: float
    mismatch: bool
    where: str | None = None  # the segment that broke it
    missing_halves: int = 0
    p_value: float | None = None  # chi-squared, in a final verdict: valid at one look only


@dataclass(frozen=True)
class Gate:
    name: str  # sampleRatio, minimumData, warmUp, fullCycle, wholeLoad ...
    passed: bool
    message: str


@dataclass(frozen=True)
class ArmSummary:
    name: str
    requests: int
    errors: int
    latency_p50: float | None
    latency_p99: float | None


@dataclass(frozen=True)
class Verdict:
    decision: Decision
    reasons: tuple[str, ...]  # sentences with figures
    baseline: str
    candidate: str
    look: int
    elapsed: float  # seconds of intended time judged
    arms: tuple[ArmSummary, ...]
    metrics: tuple[MetricResult, ...]
    sample_ratio: SampleRatio | None
    gates: tuple[Gate, ...]
    method: str
    assumptions: tuple[str, ...]
    rules: str  # version of the rules that decided
    notes: tuple[str, ...] = field(default=())
    selected_from: int = 1  # candidates that passed; of several the best was taken, its estimate too good
