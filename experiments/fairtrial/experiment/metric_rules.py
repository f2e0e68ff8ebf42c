"""What must fit together in one metric."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fairtrial.experiment.base import Mistake
from fairtrial.experiment.metric_families import FAMILIES
from fairtrial.experiment.quantities import Margin

if TYPE_CHECKING:
    from fairtrial.experiment.metrics import Metric


def inconsistencies(metric: Metric) -> Iterator[Mistake]:
    """Mistakes between the fields of a metric, each with the path below it."""
    yield from _of_kind(metric)
    yield from _of_extras(metric)
    yield from _of_role(metric)
    yield from _of_units(metric)
    yield from _of_design(metric)


def unknown_name(metric: Metric) -> Iterator[Mistake]:
    """A name that says nothing, on a metric that does not say what it is."""
    said = metric.model_fields_set
    typed = "kind" in said or metric.quantile is not None or metric.denominator is not None
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


def _of_kind(metric: Metric) -> Iterator[Mistake]:
    said, family = metric.model_fields_set, metric.family
    for field, kind, example in _NEEDED:
        given = getattr(metric, field) is not None
        if given and metric.kind != kind:
            yield ("kind",), f"a metric with {_article(field)} is of kind {kind}, not {metric.kind}"
            return
        if metric.kind == kind and not given and kind != "binary":
            yield (field,), f"a metric of kind {kind} needs one, such as {example}"
            return
    if family and metric.slo is None and metric.kind != family.kind:
        asked = "kind" if "kind" in said else "quantile"
        if asked == "kind" and "binary" in (family.kind, metric.kind):
            yield ("kind",), f'"{metric.name}" is of kind {family.kind}'
        elif asked == "quantile" and family.kind == "binary":
            yield ("quantile",), f'"{metric.name}" is of kind {family.kind} and has no quantiles'
    elif family and metric.slo is not None and family.kind == "binary":
        yield ("slo",), f'"{metric.name}" is right or wrong already and has no level to exceed'


#: What makes a metric one of a kind, and one for example.
_NEEDED = (("quantile", "quantile", "0.99"), ("slo", "binary", "200ms"), ("denominator", "ratio", "views"))


def _article(field: str) -> str:
    return f"an {field}" if field == "slo" else f"a {field}"


def _of_extras(metric: Metric) -> Iterator[Mistake]:
    if metric.cap is not None and metric.kind != "mean":
        yield ("cap",), f"only a mean can be capped, and this is of kind {metric.kind}"
    if metric.covariate is not None and metric.kind not in ("mean", "ratio"):
        yield ("covariate",), f"only a mean or a ratio is adjusted, and this is of kind {metric.kind}"
    for field in ("denominator", "covariate"):
        if getattr(metric, field) == metric.column:
            yield (field,), f'"{metric.column}" is the metric\'s own column'


def _of_role(metric: Metric) -> Iterator[Mistake]:
    if metric.role == "guardrail" and metric.min_effect.value:
        yield ("minEffect",), "minEffect belongs to an objective; a guardrail has maxRegression"
    if metric.role == "objective" and metric.max_regression.value:
        yield ("maxRegression",), "maxRegression belongs to a guardrail; an objective has minEffect"


def _margins(metric: Metric) -> Iterator[tuple[str, Margin]]:
    yield "minEffect", metric.min_effect
    yield "maxRegression", metric.max_regression
    if metric.design_effect is not None:
        yield "designEffect", metric.design_effect


def _of_units(metric: Metric) -> Iterator[Mistake]:
    in_seconds = metric.family is None or metric.family.in_seconds
    shrinks = not metric.higher_is_better
    for field, margin in _margins(metric):
        if metric.kind == "ratio" and margin.unit in ("pp", "s"):
            yield (field,), "the margin of a ratio is % of the baseline or a plain number"
        elif margin.unit == "pp" and metric.kind != "binary":
            yield (field,), f'percentage points are for rates; "{metric.name}" is none, use % of the baseline'
        elif margin.unit == "s" and not (in_seconds and metric.kind != "binary"):
            yield (field,), f'"{metric.name}" is not a time; use % of the baseline or a plain number'
        elif metric.kind == "binary" and margin.unit in ("", "pp") and margin.value >= 1:
            yield (field,), f"a rate is between 0 and 1 and cannot move by {margin}; 1pp is 0.01"
        elif field != "maxRegression" and shrinks and margin.relative and margin.value >= 1:
            yield (field,), f"nothing decreases by {margin} of the baseline"


def _of_design(metric: Metric) -> Iterator[Mistake]:
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
