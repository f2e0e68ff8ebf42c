"""Axes of effects and of time, in the units that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairtrial.judge.verdict import MetricResult
from fairtrial.report import figures

if TYPE_CHECKING:
    from matplotlib.axis import Axis


def limit(metric: MetricResult) -> float:
    """The effect at which the margin lies: a gain for an objective, a regression for a guardrail."""
    gain = metric.margin if metric.role == "objective" else -metric.margin
    return gain if metric.higher_is_better else -gain


def tick_labels(axis: Axis, metric: MetricResult, *, most: int) -> None:
    """Label an axis of effects: +2 pp, -10%, +0.5 ms."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    def written(value: float, _: int | None) -> str:
        value = round(value, 12) + 0.0
        plus = "+" if value > 0 else ""
        return plus + figures.effect(metric, value, sign=False).replace("-", "−")

    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(written))


def time_unit(span: float) -> tuple[str, float]:
    """The unit for an axis of `span` seconds, and how many seconds it has."""
    for name, size in (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)):
        if span >= 3 * size:
            return name, size
    return "seconds", 1.0
