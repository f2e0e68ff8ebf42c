"""Figures as people read them."""

from __future__ import annotations

import math

import pytest
from experiments.verdicts import a_metric
from fairtrial.judge.verdict import MetricResult
from fairtrial.report import figures
from fairtrial.report.scale import limit


def metric(
    name: str = "accuracy",
    *,
    role: str = "guardrail",
    kind: str = "binary",
    relative: bool = False,
    higher: bool = False,
    margin: float = 0.01,
    quantile: float | None = None,
) -> MetricResult:
    return a_metric(
        name,
        role=role,
        kind=kind,
        relative=relative,
        higher_is_better=higher,
        margin=margin,
        quantile=quantile,
        column="error" if name == "errorRate" else name,
    )


@pytest.mark.parametrize(
    ("result", "value", "estimate", "effect"),
    [
        (metric(), 0.9191, "91.9%", "+91.9 pp"),
        (metric(), 0.00004, "0.004%", "+0.004 pp"),
        (metric("latency", kind="quantile", quantile=0.99), 0.00831, "8.31 ms", "+8.31 ms"),
        (metric("latency", kind="quantile", relative=True), 1.25, "1.25 s", "+125%"),
        (metric("absoluteError", kind="mean"), 0.123456, "0.1235", "+0.123"),
        (metric("absoluteError", kind="mean"), 0.0, "0", "0"),
    ],
)
def test_estimates_and_effects_have_the_metrics_unit(
    result: MetricResult, value: float, estimate: str, effect: str
) -> None:
    assert figures.estimate(result, value) == estimate
    assert figures.effect(result, value) == effect


def test_what_is_not_known_is_not_a_number() -> None:
    assert figures.estimate(metric(), None) == "n/a"
    assert figures.effect(metric(), math.nan) == "n/a"
    assert figures.interval(metric()) == "n/a"
    assert figures.estimate(metric("latency", kind="quantile"), math.inf) == "infinite"


def test_intervals_may_be_open_on_a_side() -> None:
    assert figures.span(metric(), (-0.01, 0.02)) == "-1 pp to +2 pp"
    assert figures.span(metric(), (-math.inf, 0.02)) == "below +2 pp"
    assert figures.span(metric(), (0.01, math.inf)) == "above +1 pp"


@pytest.mark.parametrize(
    ("result", "label"),
    [
        (metric("errorRate"), "error rate"),
        (metric("latency", kind="quantile", quantile=0.999), "p99.9 latency"),
        (metric("latency", kind="mean"), "mean latency"),
    ],
)
def test_metrics_are_called_what_the_reasons_call_them(result: MetricResult, label: str) -> None:
    assert figures.label(result) == label


@pytest.mark.parametrize(
    ("role", "higher", "at"),
    [
        ("objective", True, 0.01),
        ("objective", False, -0.01),
        ("guardrail", True, -0.01),
        ("guardrail", False, 0.01),
    ],
)
def test_the_margin_lies_on_the_side_of_its_claim(role: str, higher: bool, at: float) -> None:
    assert limit(metric(role=role, higher=higher)) == at


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0 s"), (9.54, "9.5 s"), (59.7, "1 min"), (125, "2 min 5 s"), (4320, "1 h 12 min")],
)
def test_durations_read_as_people_say_them(value: float, text: str) -> None:
    assert figures.duration(value) == text
