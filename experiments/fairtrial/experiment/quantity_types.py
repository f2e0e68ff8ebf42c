"""The quantities as pydantic types: plain numbers in Python, texts with units in files and schemas."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from fairtrial.experiment import quantities as q

_NUMBER = r"[0-9]+(\.[0-9]+)?"


def _text(pattern: str, *examples: str) -> dict[str, object]:
    return {"type": "string", "pattern": f"^{pattern}$", "examples": list(examples)}


def _number_or(minimum: float, maximum: float | None, text: dict[str, object]) -> dict[str, object]:
    number: dict[str, object] = {"type": "number", "minimum": minimum}
    if maximum is not None:
        number["maximum"] = maximum
    return {"anyOf": [text, number]}


_DURATION = rf"({_NUMBER}h)?({_NUMBER}m)?({_NUMBER}s)?({_NUMBER}ms)?"

#: Seconds.
Duration = Annotated[
    float,
    BeforeValidator(q.parse_duration),
    PlainSerializer(q.format_duration, return_type=str),
    WithJsonSchema(_text(_DURATION, "90s", "2m", "500ms") | {"minLength": 2}),
]

#: Seconds, or "auto".
DurationOrAuto = Annotated[
    float | Literal["auto"],
    BeforeValidator(lambda raw: raw if raw == "auto" else q.parse_duration(raw)),
    PlainSerializer(lambda value: value if value == "auto" else q.format_duration(value), return_type=str),
    WithJsonSchema({"anyOf": [{"const": "auto"}, _text(_DURATION, "5s") | {"minLength": 2}]}),
]

#: A second.
Rate = Annotated[
    float,
    BeforeValidator(q.parse_rate),
    PlainSerializer(q.format_rate, return_type=str),
    WithJsonSchema(_text(rf"{_NUMBER}/(s|m|h)", "200/s", "12000/m")),
]

#: From 0 to 1.
Fraction = Annotated[
    float,
    BeforeValidator(q.parse_fraction),
    PlainSerializer(q.format_fraction, return_type=str),
    WithJsonSchema(_number_or(0, 1, _text(rf"{_NUMBER}%", "5%"))),
]

#: Whole percent of the traffic, from 1 to 100.
Weight = Annotated[
    int,
    BeforeValidator(q.parse_weight),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 100},
                _text("[0-9]{1,3}%", "50%"),
            ]
        }
    ),
]

MarginType = Annotated[
    q.Margin,
    BeforeValidator(q.parse_margin),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        _number_or(
            0, None, _text(rf"({_NUMBER}(%|pp)?|{_DURATION})", "5%", "1pp", "20ms") | {"minLength": 1}
        ),
    ),
]

#: Seconds, or in the metric's own unit; above 0.
Level = Annotated[
    float,
    BeforeValidator(q.parse_level),
    WithJsonSchema(_number_or(0, None, _text(rf"({_NUMBER}|{_DURATION})", "200ms") | {"minLength": 1})),
]
