"""Figures and names as people read them; every sentence of a verdict is made of these."""

from __future__ import annotations

import math
import re

from fairtrial.judge.spec import Kind, MetricSpec


def metric_label(metric: MetricSpec) -> str:
    """ "p99 latency", "mean latency", "error rate", "accuracy"."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", metric.name).lower()
    if metric.quantile is not None:
        quantile = f"p{100 * metric.quantile:.10g}"
        return words if quantile in words else f"{quantile} {words}"
    if metric.slo is not None:
        level = seconds(metric.slo) if metric.column == "latency" else number(metric.slo)
        return f"share of {words} above {level}"
    return f"mean {words}" if metric.kind is Kind.MEAN and metric.column == "latency" else words


def count(value: int) -> str:
    """12,345."""
    return f"{value:,}"


def number(value: float, digits: int = 3) -> str:
    """A plain figure with some significant digits: 0.0123, 4.5, 1,200, 3.2e+08."""
    if not math.isfinite(value):
        return "no number" if math.isnan(value) else "infinite" if value > 0 else "-infinite"
    if value == 0:
        return "0"
    before = math.floor(math.log10(abs(value))) + 1
    if not -4 < before <= 7:
        return f"{value:.{digits - 1}e}"
    text = f"{value:,.{max(digits - before, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(fraction: float) -> str:
    """91.9%, 0.25%, 100%: three significant digits, at most two after the point."""
    return f"{_decimals(fraction * 100)}%" if math.isfinite(fraction) else number(fraction)


def seconds(value: float) -> str:
    """830 us, 48.2 ms, 1.2 s, 120 s."""
    size = abs(value)
    if not math.isfinite(value) or size >= 1 or size == 0:
        return f"{number(value)} s" if math.isfinite(value) else number(value)
    return f"{number(value * 1e3)} ms" if size >= 1e-3 else f"{number(value * 1e6)} us"


def value_of(metric: MetricSpec, value: float) -> str:
    """An arm's own figure, in the metric's unit."""
    if metric.kind is Kind.BINARY:
        return percent(value)
    return seconds(value) if metric.column == "latency" else number(value, 4)


def effect_of(metric: MetricSpec, effect: float, *, sign: bool = True) -> str:
    """A difference or a ratio: +35%, -2.3 pp, +12 ms; without its sign if `sign` is false."""
    plus = "+" if sign and effect > 0 else ""
    value = effect if sign else abs(effect)
    if metric.margin.relative:
        return plus + percent(value)
    if metric.kind is Kind.BINARY:
        return f"{plus}{_decimals(value * 100)} pp" if math.isfinite(value) else plus + number(value)
    return plus + (seconds(value) if metric.column == "latency" else number(value))


def margin_of(metric: MetricSpec) -> str:
    """The metric's margin: 10%, 1 pp, 20 ms."""
    return effect_of(metric, metric.margin.value, sign=False)


def change(metric: MetricSpec, effect: float) -> str:
    """ "60% slower", "2.3 pp higher", "no different"."""
    if effect == 0:
        return "no different"
    if metric.column == "latency" and metric.slo is None:
        word = "slower" if effect > 0 else "faster"
    else:
        word = "higher" if effect > 0 else "lower"
    return f"{effect_of(metric, effect, sign=False)} {word}"


def interval_of(metric: MetricSpec, interval: tuple[float, float], level: float) -> str:
    """ "90% interval +35% to +88%"."""
    low, high = interval
    return f"{100 * level:.4g}% interval {effect_of(metric, low)} to {effect_of(metric, high)}"


def unit_of(metric: MetricSpec) -> str:
    """What is compared: user, pair or request; a row where its score counts once."""
    if metric.by_unit:
        return "user"
    return "row" if metric.once_per_row else "pair" if metric.paired else "request"


def observations(metric: MetricSpec) -> str:
    """What the metric's evidence is counted in."""
    if metric.once_per_row:
        return "rows"
    if metric.by_unit:
        return "users an arm"
    return "pairs" if metric.paired else "requests an arm"


def listed(parts: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _decimals(value: float) -> str:
    """Three significant digits, at most two after the point; a small figure is not rounded to none."""
    if value == 0:
        return "0"
    digits = min(max(2 - math.floor(math.log10(abs(value))), 0), 2)
    if round(value, digits) == 0:
        return number(value, 1)
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
