"""What is measured, and what must be true of the candidate."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from fairtrial.experiment.base import Part, raise_mistakes
from fairtrial.experiment.metric_families import BY_COLUMN, FAMILIES, Direction, Family, Kind, Role
from fairtrial.experiment.metric_rules import inconsistencies, unknown_name
from fairtrial.experiment.quantities import Margin
from fairtrial.experiment.quantity_types import Level, MarginType


def _family(data: dict[str, Any]) -> Family | None:
    """By the column when it is given, else by the name."""
    column = data.get("column")
    return BY_COLUMN.get(column) if isinstance(column, str) else FAMILIES.get(data.get("name", ""))


#: What a metric is when one of these is said of it.
_KIND_BY_FIELD: dict[str, Kind] = {"quantile": "quantile", "slo": "binary", "denominator": "ratio"}

# Defaults of a metric without a family are never seen: `Metric` refuses it when they are not said.


def _default_column(data: dict[str, Any]) -> str:
    name: str = data["name"]
    return FAMILIES[name].column if name in FAMILIES else name


def _default_kind(data: dict[str, Any]) -> Kind:
    family = _family(data)
    for field, kind in _KIND_BY_FIELD.items():
        if data.get(field) is not None:
            return kind
    return family.kind if family else "mean"


def _default_role(data: dict[str, Any]) -> Role:
    family = _family(data)
    return family.role if family else "objective"


def _default_direction(data: dict[str, Any]) -> Direction:
    family = _family(data)
    return family.direction if family else "increase"


class Metric(Part):
    """One metric, with the claim that decides: an objective is to be met, a guardrail not to be harmed."""

    name: str = Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$",
        max_length=63,
        description="accuracy, errorRate, latency, absoluteError, squaredError, or a name of your own with "
        "`column`, or with `kind` and `direction`.",
        examples=["accuracy"],
        json_schema_extra={"anyOf": [{"enum": list(FAMILIES)}, {"type": "string"}]},
    )
    column: str = Field(
        default_factory=_default_column,
        min_length=1,
        description="The observations' column it is computed from. Default: by the name.",
        examples=["latency"],
    )
    quantile: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        strict=True,
        allow_inf_nan=False,
        description="Compare this quantile, between 0 and 1, instead of the mean. Default: the mean.",
        examples=[0.99],
    )
    slo: Level | None = Field(
        default=None,
        description="Compare the share of requests above this level, 200ms or a plain number, instead of the "
        "mean; a failed request is above it. Default: none.",
        examples=["200ms"],
    )
    denominator: str | None = Field(
        default=None,
        min_length=1,
        description="Compare the sum of `column` over the sum of this column: clicks a view. Default: none.",
        examples=["views"],
    )
    covariate: str | None = Field(
        default=None,
        min_length=1,
        description="A column known before the experiment that explains part of the metric, such as last "
        "week's value of the same user: it is adjusted for (CUPED). Default: none.",
        examples=["lastWeek"],
    )
    cap: Level | None = Field(
        default=None,
        description="Larger values of a mean count as this much (winsorised), so that a few do not decide; "
        "the uncapped result is shown beside it. Default: none.",
        examples=[100],
    )
    kind: Kind = Field(
        default_factory=_default_kind,
        description="How the values are distributed, hence which test is used: binary (0 or 1), mean (any "
        "number), ratio (of two sums), count (of events), quantile (of positive numbers). Default: by the "
        "metric; quantile, binary or ratio if quantile, slo or denominator is given.",
        examples=["mean"],
    )
    role: Role = Field(
        default_factory=_default_role,
        description="objective: the candidate must improve it by minEffect. guardrail: it must not regress "
        "by more than maxRegression. Default: guardrail for errorRate and latency, else objective.",
        examples=["guardrail"],
    )
    direction: Direction = Field(
        default_factory=_default_direction,
        description="Which way is better. Default: increase for accuracy, decrease for errors and latency.",
        examples=["increase"],
    )
    min_effect: MarginType = Field(
        default=Margin(0.0),
        description="An objective's gain must exceed this: 5% of the baseline, 1pp (percentage points), "
        "20ms, or a plain number in the metric's unit. Default: 0.",
        examples=["1pp"],
    )
    max_regression: MarginType = Field(
        default=Margin(0.0),
        description="A guardrail may regress by this much; units as for minEffect. Default: 0.",
        examples=["10%"],
    )
    design_effect: MarginType | None = Field(
        default=None,
        description="The true effect at which the stated power is planned for. "
        "Default: what the horizon allows.",
        examples=["2pp"],
    )

    @property
    def family(self) -> Family | None:
        """What is known of it; None for a further column of the observations."""
        return BY_COLUMN.get(self.column)

    @property
    def margin(self) -> Margin:
        """The margin of the role."""
        return self.min_effect if self.role == "objective" else self.max_regression

    @property
    def higher_is_better(self) -> bool:
        return self.direction == "increase"

    @property
    def scored(self) -> bool:
        """Whether it needs the right answers."""
        return self.family is not None and self.family.scored

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        unknown = list(unknown_name(self))  # the other checks would rest on guesses
        raise_mistakes(unknown or inconsistencies(self))
        return self
