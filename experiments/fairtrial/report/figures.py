"""How a verdict's figures are written for people: the same in the report, the terminal and explanations.

The judge's sentences and these agree, since both are made of `judge.wording`.
"""

from __future__ import annotations

import math
import re
from enum import Enum

from fairtrial.judge.verdict import MetricResult
from fairtrial.judge.wording import count, number, percent, seconds

NOTHING = "n/a"


class Unit(Enum):
    """What a metric's estimates are measured in."""

    FRACTION = "fraction"  # shown in percent, its differences in percentage points
    SECONDS = "seconds"
    PLAIN = "plain"


def unit_of(metric: MetricResult) -> Unit:
    """Binary metrics are fractions and latencies are seconds; anything else is in its own unit."""
    if metric.kind == "binary":
        return Unit.FRACTION
    return Unit.SECONDS if metric.column == "latency" else Unit.PLAIN


def label(metric: MetricResult) -> str:
    """ "p99 latency", "mean latency", "error rate", "accuracy": as in the judge's sentences."""
    words = in_words(metric.name)
    if metric.quantile is not None:
        quantile = f"p{metric.quantile * 100:.10g}"
        return words if quantile in words else f"{quantile} {words}"
    if metric.slo is not None:
        level = seconds(metric.slo) if metric.column == "latency" else number(metric.slo)
        return f"share of {words} above {level}"
    return f"mean {words}" if metric.kind == "mean" and metric.column == "latency" else words


def in_words(name: str) -> str:
    """errorRate -> error rate."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()


def duration(value: float) -> str:
    """A stretch of time: 9.5 s, 48 s, 2 min 5 s, 1 h 12 min."""
    if value < 10:
        return f"{value:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] if hours else []
    parts += [f"{minutes} min"] if minutes else []
    parts += [f"{rest} s"] if rest and not hours else []
    return " ".join(parts)


def estimate(metric: MetricResult, value: float | None) -> str:
    """An arm's own figure, e.g. 91.9% or 8.31 ms."""
    if value is None or math.isnan(value):
        return NOTHING
    match unit_of(metric):
        case Unit.FRACTION:
            return percent(value)
        case Unit.SECONDS:
            return seconds(value)
        case Unit.PLAIN:
            return number(value, 4)


def effect(metric: MetricResult, value: float | None, *, sign: bool = True) -> str:
    """A difference between the arms: +2.5 pp, -0.7 ms, or +8.1% where the metric's effects are ratios."""
    if value is None or math.isnan(value):
        return NOTHING
    plus = "+" if sign and value > 0 else ""
    if metric.relative:
        return plus + percent(value)
    match unit_of(metric):
        case Unit.FRACTION:
            points = percent(value)
            return plus + (f"{points[:-1]} pp" if points.endswith("%") else points)
        case Unit.SECONDS:
            return plus + seconds(value)
        case Unit.PLAIN:
            return plus + number(value)


def interval(metric: MetricResult) -> str:
    """The interval of the effect: "+0.4 pp to +4.6 pp", "below +9%" where one side is open."""
    return NOTHING if metric.interval is None else span(metric, metric.interval)


def span(metric: MetricResult, bounds: tuple[float, float]) -> str:
    """Bounds of an effect in words; either may be infinite."""
    low, high = bounds
    if math.isinf(low) and math.isinf(high):
        return "anything"
    if math.isinf(low):
        return f"below {effect(metric, high)}"
    return (
        f"above {effect(metric, low)}"
        if math.isinf(high)
        else f"{effect(metric, low)} to {effect(metric, high)}"
    )


def margin(metric: MetricResult, value: float | None = None) -> str:
    """The margin (the metric's own unless told otherwise), without a sign: 10%, 1 pp, 20 ms."""
    return effect(metric, metric.margin if value is None else value, sign=False)


def margin_name(metric: MetricResult) -> str:
    """What the experiment file calls this margin."""
    return "minEffect" if metric.role == "objective" else "maxRegression"


def level(metric: MetricResult) -> str:
    return f"{metric.level * 100:.4g}%"


def observations(metric: MetricResult) -> str:
    """What the metric rests on: "1,240 pairs" or "1,240 and 1,198 observations"."""
    if metric.n_pairs is not None:
        return f"{count(metric.n_pairs)} pairs"
    if metric.n_baseline == metric.n_candidate:
        return f"{count(metric.n_baseline)} observations an arm"
    return f"{count(metric.n_baseline)} and {count(metric.n_candidate)} observations"


def z(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"
