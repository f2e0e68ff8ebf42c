"""What the judge is told before the first observation: the claims, their rates and the horizon."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """How a metric's observations are distributed, hence which test applies."""

    BINARY = "binary"  # 0/1: errorRate, accuracy, "slower than the SLO"
    MEAN = "mean"  # any number: latency mean, absoluteError, squaredError, a reward
    RATIO = "ratio"  # one sum over another: clicks per view
    COUNT = "count"  # events a request or a unit, as of a Poisson process: retries, alarms
    QUANTILE = "quantile"  # a quantile of a positive quantity: latency p99


class Method(StrEnum):
    """How a claim's evidence is held against its rate."""

    SEQUENTIAL = "sequential"  # a calibrated mixture, valid at every look up to the horizon
    ALWAYS_VALID = "alwaysValid"  # e-processes and confidence sequences: valid for ever
    GROUP_SEQUENTIAL = "groupSequential"  # Lan-DeMets spending, for a few planned looks
    FIXED_HORIZON = "fixedHorizon"  # judged once, at the horizon


class Spending(StrEnum):
    """How a group sequential design spends its rate."""

    OBRIEN_FLEMING = "obrienFleming"
    POCOCK = "pocock"


class Role(StrEnum):
    OBJECTIVE = "objective"
    GUARDRAIL = "guardrail"


@dataclass(frozen=True)
class Margin:
    """A margin on a difference (`relative=False`, in the metric's unit) or on a ratio minus 1."""

    value: float
    relative: bool = False


@dataclass(frozen=True)
class MetricSpec:
    name: str  # as in the file; unique
    kind: Kind
    role: Role
    column: str  # where it comes from: "latency", "error" (status), "score", or any further column
    higher_is_better: bool
    margin: Margin  # minEffect of an objective, maxRegression of a guardrail; >= 0
    design_effect: Margin | None = None  # the effect `power` is planned for; None: from the horizon
    quantile: float | None = None
    once_per_row: bool = False  # a row's score counts once, however often it is replayed
    paired: bool = False  # the two halves of a pair are compared (McNemar, paired mean)
    max_observations: int = 0  # horizon, in observations of the smaller arm (pairs when paired)
    slo: float | None = None  # BINARY of a positive column: 1 where it exceeds this, or the request failed
    denominator: str | None = None  # RATIO: the column below the line
    covariate: str | None = None  # MEAN or RATIO: a column known beforehand, to adjust by (CUPED)
    cap: float | None = None  # MEAN: larger values count as this much (winsorised)
    by_unit: bool = False  # randomised by unit: a unit's requests are summed, and units are compared


@dataclass(frozen=True)
class StoredBaseline:
    """The baseline's observations are of an earlier run."""

    run: str  # what it is called
    reference: tuple[float, ...] = ()  # seconds of the fixed computation during that run, in order of time
    incomparable: str | None = None  # why its latencies cannot be compared, whatever the reference says


@dataclass(frozen=True)
class JudgeSpec:
    """`alpha` is each side's rate; section "How it decides" of the docs says how it is shared out."""

    baseline: str
    candidates: tuple[str, ...]
    metrics: tuple[MetricSpec, ...]
    alpha: float = 0.05
    power: float = 0.8
    method: Method = Method.SEQUENTIAL
    spending: Spending = Spending.OBRIEN_FLEMING  # of groupSequential
    planned_looks: int = 120
    look_interval: float = 1.0  # seconds of intended time between looks
    batch_seconds: float = 1.0  # time batch for strata and batch means
    warm_up: float = 0.0  # seconds of intended time cut from the start
    auto_warm_up: bool = False  # the length is found from the first latencies, before anything is judged
    min_observations: int = 100  # an arm, before the first look
    max_duration: float = 120.0  # seconds of intended time; later observations are not looked at
    weights: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    """Segment -> arm -> fraction of the split's traffic that it should have had."""
    full_cycle: float = 0.0  # seconds on the clock that must have been seen before a promotion
    load_cycle: float = 0.0  # seconds of load that must have been, gaps apart
    load_gap: float = 0.0  # seconds in which a load may bring nothing; a longer pause was none of its own
    last_segment: str | None = None  # no promotion before the candidate has answered in it
    sample_ratio_alpha: float = 0.001
    weaknesses: tuple[str, ...] = ()  # what every verdict says of where the observations come from
    stored: StoredBaseline | None = None
    bound: str = ""  # why the horizon is where it is, and what it shows; told where it settles nothing
    abort_error_rate: float | None = None  # a candidate's error rate that ends the run at once
