"""Quantities parse to SI numbers, print back to what parses to the same, and refuse the rest in words."""

from __future__ import annotations

import math

import pytest
from fairtrial.experiment import quantities as q
from hypothesis import given
from hypothesis import strategies as st

NUMBERS = st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,6})?", fullmatch=True)
ANYTHING = st.one_of(
    st.text(max_size=80),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.from_regex(r"[-+]?[0-9]{1,5}(\.[0-9]*)?(e[0-9]{1,4})?(%|pp|ms|s|m|h|/s|/m|/h)?", fullmatch=True),
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("2m", 120), ("1m30s", 90), ("500ms", 0.5), ("1h", 3600), ("1.5s", 1.5), ("0s", 0)],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert q.parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "rate"), [("200/s", 200), ("12000/m", 200), ("0.5/s", 0.5), ("3600/h", 1)])
def test_rates_are_per_second(text: str, rate: float) -> None:
    assert q.parse_rate(text) == rate


@pytest.mark.parametrize(
    ("raw", "margin"),
    [
        ("5%", q.Margin(0.05, "%")),
        ("0.1%", q.Margin(0.001, "%")),
        ("1pp", q.Margin(0.01, "pp")),
        ("20ms", q.Margin(0.02, "s")),
        ("1s", q.Margin(1.0, "s")),
        (0.1, q.Margin(0.1)),
        ("3", q.Margin(3.0)),
        (0, q.Margin(0.0)),
    ],
)
def test_margins_keep_their_unit(raw: object, margin: q.Margin) -> None:
    assert q.parse_margin(raw) == margin
    assert q.parse_margin(str(margin)) == margin


def test_only_percent_is_relative() -> None:
    assert q.parse_margin("5%").relative
    assert not any(q.parse_margin(raw).relative for raw in ("5pp", "5ms", 5, "5"))


@given(st.floats(min_value=1e-6, max_value=q.LONGEST_DURATION))
def test_a_printed_duration_parses_to_the_same_seconds(seconds: float) -> None:
    assert q.parse_duration(q.format_duration(seconds)) == seconds


@given(st.floats(min_value=q.LOWEST_RATE, max_value=q.HIGHEST_RATE))
def test_a_printed_rate_parses_to_the_same_number(rate: float) -> None:
    assert q.parse_rate(q.format_rate(rate)) == rate


@given(NUMBERS, st.sampled_from(["/s", "/m", "/h"]))
def test_a_written_rate_survives_printing(number: str, unit: str) -> None:
    try:
        rate = q.parse_rate(number + unit)
    except q.QuantityError:
        return  # out of range
    assert q.parse_rate(q.format_rate(rate)) == rate


@given(st.floats(min_value=0, max_value=1).filter(lambda x: x == 0 or x > 1e-6))
def test_a_printed_percentage_parses_to_the_same_fraction(fraction: float) -> None:
    assert q.parse_fraction(q.format_fraction(fraction)) == fraction


@given(NUMBERS, st.sampled_from(["%", "pp", "ms", "s", ""]))
def test_a_written_margin_survives_printing(number: str, unit: str) -> None:
    margin = q.parse_margin(number + unit)
    assert q.parse_margin(str(margin)) == margin


@given(ANYTHING)
def test_what_is_no_quantity_is_refused_in_one_readable_line(raw: object) -> None:
    for parse in (q.parse_duration, q.parse_rate, q.parse_fraction, q.parse_weight, q.parse_margin):
        refusal = ""
        parsed: object = 0
        try:
            parsed = parse(raw)
        except q.QuantityError as error:
            refusal = str(error)
        assert not refusal or refusal.isprintable()
        assert len(refusal) < 200
        number = parsed.value if isinstance(parsed, q.Margin) else parsed
        assert math.isfinite(number)
        assert number >= 0


@pytest.mark.parametrize("raw", ["", "90", 90, "s", "-5s", "1s30m", "1e3s", "5 s m", True, None, "9999999h"])
def test_a_duration_needs_its_unit(raw: object) -> None:
    with pytest.raises(q.QuantityError, match="expected a duration"):
        q.parse_duration(raw)


def test_a_percentage_without_its_sign_is_probably_meant_with_one() -> None:
    with pytest.raises(q.QuantityError, match="did you mean 5%"):
        q.parse_fraction(5)


@pytest.mark.parametrize("raw", ["-1pp", -1, math.nan, math.inf, "5 percent", True])
def test_a_margin_is_a_size(raw: object) -> None:
    with pytest.raises(q.QuantityError):
        q.parse_margin(raw)


@pytest.mark.parametrize(("raw", "weight"), [(10, 10), ("10%", 10), ("10", 10), (100, 100)])
def test_weights_are_whole_percent(raw: object, weight: int) -> None:
    assert q.parse_weight(raw) == weight


@pytest.mark.parametrize("raw", [0, 101, 0.5, "0.5%", "-1", True, 10.0, None])
def test_weights_that_seldon_cannot_set_are_refused(raw: object) -> None:
    with pytest.raises(q.QuantityError, match="whole percentage"):
        q.parse_weight(raw)
