"""What is measured, and what must be true of the candidate."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from fairtrial.experiment.base import Part, raise_mistakes
from fairtrial.experiment.quantities import Margin
from fairtrial.experiment.quantity_types import MarginType

Role = Literal["objective", "guardrail"]
Direction = Literal["increase", "decrease"]
Kind = Literal["binary", "mean", "quantile"]


@dataclass(frozen=True)
class Family:
    """What is known of a metric that Fairtrial measures itself."""

    column: str
    kind: Kind
    role: Role
    direction: Direction
    scored: bool  # needs the right answers
    in_seconds: bool = False


#: By the name that files use.
FAMILIES = {
    "accuracy": Family("score", "binary", "objective", "increase", scored=True),
    "errorRate": Family("error", "binary", "guardrail", "decrease", scored=False),
    "latency": Family("latency", "mean", "guardrail", "decrease", scored=False, in_seconds=True),
    "absoluteError": Family("absoluteError", "mean", "objective", "decrease", scored=True),
    "squaredError": Family("squaredError", "mean", "objective", "decrease", scored=True),
}
_BY_COLUMN = {family.column: family for family in FAMILIES.values()}


def _family(data: dict[str, Any]) -> Family | None:
    """By the column when it is given, else by the name."""
    column = data.get("column")
    return _BY_COLUMN.get(column) if isinstance(column, str) else FAMILIES.get(data.get("name", ""))


# Defaults of a metric without a family are never seen: `Metric` refuses it when they are not said.


def _default_column(data: dict[str, Any]) -> str:
    name: str = data["name"]
    return FAMILIES[name].column if name in FAMILIES else name


def _default_kind(data: dict[str, Any]) -> Kind:
    family = _family(data)
    return "quantile" if data.get("quantile") is not None else family.kind if family else "mean"


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
    kind: Kind = Field(
        default_factory=_default_kind,
        description="How the values are distributed, hence which test is used: binary (0 or 1), mean (any "
        "number), quantile (of positive numbers). Default: by the metric, and quantile if one is given.",
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
        return _BY_COLUMN.get(self.column)

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
        unknown = list(_of_name(self))  # the other checks would rest on guesses
        raise_mistakes(unknown or [*_of_kind(self), *_of_role(self), *_of_units(self), *_of_design(self)])
        return self


_Found = Iterator[tuple[tuple[str | int, ...], str]]


def _of_name(metric: Metric) -> _Found:
    said = metric.model_fields_set
    typed = "kind" in said or metric.quantile is not None
    if metric.family is not None or (typed and "direction" in said):
        return
    close = difflib.get_close_matches(metric.name, FAMILIES, n=1) if "column" not in said else []
    if typed and not close:
        yield ("direction",), "say which way is better, increase or decrease; there is no default here"
        return
    hint = f', did you mean "{close[0]}"?' if close else f"; known are {', '.join(FAMILIES)}."
    yield (
        ("name",),
        f'unknown metric "{metric.name}"{hint} For a column of your own say its kind and direction',
    )


def _of_kind(metric: Metric) -> _Found:
    said, family = metric.model_fields_set, metric.family
    if metric.quantile is not None and metric.kind != "quantile":
        yield ("kind",), f"a metric with a quantile is of kind quantile, not {metric.kind}"
    elif metric.kind == "quantile" and metric.quantile is None:
        yield ("quantile",), "a metric of kind quantile needs one, such as 0.99"
    elif family and metric.kind != family.kind and (family.kind == "binary" or metric.kind == "binary"):
        if "kind" in said:
            yield ("kind",), f'"{metric.name}" is of kind {family.kind}'
        else:
            yield ("quantile",), f'"{metric.name}" is of kind {family.kind} and has no quantiles'


def _of_role(metric: Metric) -> _Found:
    if metric.role == "guardrail" and metric.min_effect.value:
        yield ("minEffect",), "minEffect belongs to an objective; a guardrail has maxRegression"
    if metric.role == "objective" and metric.max_regression.value:
        yield ("maxRegression",), "maxRegression belongs to a guardrail; an objective has minEffect"


def _margins(metric: Metric) -> Iterator[tuple[str, Margin]]:
    yield "minEffect", metric.min_effect
    yield "maxRegression", metric.max_regression
    if metric.design_effect is not None:
        yield "designEffect", metric.design_effect


def _of_units(metric: Metric) -> _Found:
    in_seconds = metric.family is None or metric.family.in_seconds
    shrinks = not metric.higher_is_better
    for field, margin in _margins(metric):
        if margin.unit == "pp" and metric.kind != "binary":
            yield (field,), f'percentage points are for rates; "{metric.name}" is none, use % of the baseline'
        elif margin.unit == "s" and not (in_seconds and metric.kind != "binary"):
            yield (field,), f'"{metric.name}" is not a time; use % of the baseline or a plain number'
        elif metric.kind == "binary" and margin.unit in ("", "pp") and margin.value >= 1:
            yield (field,), f"a rate is between 0 and 1 and cannot move by {margin}; 1pp is 0.01"
        elif field != "maxRegression" and shrinks and margin.relative and margin.value >= 1:
            yield (field,), f"nothing decreases by {margin} of the baseline"


def _of_design(metric: Metric) -> _Found:
    design = metric.design_effect
    if design is None:
        return
    if design.value == 0:
        yield ("designEffect",), "expected an effect above 0"
    elif (
        metric.role == "objective"
        and design.relative == metric.min_effect.relative
        and design.value <= metric.min_effect.value
    ):
        yield ("designEffect",), f"expected more than minEffect ({metric.min_effect}), got {design}"
