"""Figures as people read them."""

import dataclasses
import math

import pytest
from experiments.streams import ACCURACY, ERRORS, LATENCY
from fairtrial.judge.geometry import claims_of
from fairtrial.judge.sentences import claim_sentence
from fairtrial.judge.spec import Kind, Margin, Role
from fairtrial.judge.wording import (
    change,
    effect_of,
    interval_of,
    listed,
    margin_of,
    metric_label,
    number,
    percent,
    seconds,
    value_of,
)

MEAN = dataclasses.replace(LATENCY, kind=Kind.MEAN, quantile=None, margin=Margin(0.02))
SQUARED = dataclasses.replace(MEAN, name="squaredError", column="squaredError")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (3, "3"), (0.01234, "0.0123"), (1234.5, "1,234"), (-2.5, "-2.5"), (3.2e8, "3.20e+08"),
        (4.2e-7, "4.20e-07"), (math.inf, "infinite"), (math.nan, "no number"), (1000.0, "1,000"),
    ],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.919, "91.9%"), (0.0025, "0.25%"), (1.0, "100%"), (0.00004, "0.004%"), (0, "0%"), (0.99999, "100%")],
)
def test_percentages(value, text):
    assert percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0482, "48.2 ms"),
        (0.00083, "830 us"),
        (1.234, "1.23 s"),
        (120, "120 s"),
        (0, "0 s"),
        (math.inf, "infinite"),
    ],
)
def test_seconds(value, text):
    assert seconds(value) == text


def test_labels():
    assert metric_label(dataclasses.replace(LATENCY, quantile=0.999)) == "p99.9 latency"
    assert metric_label(dataclasses.replace(LATENCY, name="latencyP90")) == "latency p90"
    assert [metric_label(m) for m in (LATENCY, MEAN, ERRORS, ACCURACY, SQUARED)] == [
        "p90 latency", "mean latency", "error rate", "accuracy", "squared error",
    ]  # fmt: skip


def test_values_are_in_the_unit_of_the_metric():
    assert [value_of(m, 0.0482) for m in (LATENCY, ERRORS, SQUARED)] == ["48.2 ms", "4.82%", "0.0482"]


def test_effects_are_ratios_or_differences():
    assert effect_of(LATENCY, 0.35) == "+35%"
    assert effect_of(MEAN, 0.0123) == "+12.3 ms"
    assert effect_of(ACCURACY, -0.0231) == "-2.31 pp"
    assert effect_of(SQUARED, -0.5) == "-0.5"
    assert margin_of(ACCURACY) == "1 pp"
    assert interval_of(LATENCY, (0.35, math.inf), 0.9) == "90% interval +35% to +infinite"


def test_changes_name_their_direction():
    assert [change(LATENCY, e) for e in (0.6, -0.6, 0.0)] == ["60% slower", "60% faster", "no different"]
    assert [change(ACCURACY, e) for e in (0.023, -0.023)] == ["2.3 pp higher", "2.3 pp lower"]


def test_claims_say_what_is_claimed():
    def sentences(metric):
        return [claim_sentence(metric, claim, "v1", "v2") for claim in claims_of(metric)]

    assert sentences(LATENCY) == [
        "p90 latency of v2 exceeds that of v1 by more than 10%",
        "p90 latency of v2 exceeds that of v1 by less than 10%",
    ]
    assert sentences(ACCURACY) == [
        "accuracy of v2 is below that of v1",
        "accuracy of v2 exceeds that of v1 by more than 1 pp",
    ]
    assert sentences(dataclasses.replace(LATENCY, role=Role.OBJECTIVE)) == [
        "p90 latency of v2 exceeds that of v1",
        "p90 latency of v2 is below that of v1 by more than 10%",
    ]
    assert sentences(dataclasses.replace(ACCURACY, role=Role.GUARDRAIL)) == [
        "accuracy of v2 is below that of v1 by more than 1 pp",
        "accuracy of v2 is below that of v1 by less than 1 pp",
    ]


def test_lists():
    assert [listed(list(parts)) for parts in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
