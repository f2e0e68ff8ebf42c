"""Quantities with units, as people write them: `90s`, `200/s`, `5%`, `1pp`, `20ms`.

Each `parse_*` takes what a YAML file can hold and returns plain numbers in SI units; each `format_*`
prints the shortest text that parses back to exactly the same number. Arithmetic is decimal, because
`0.1%` must be 0.001 and not the float nearest to a product.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

_LONGEST_TEXT = 60
_LONGEST_QUOTE = 40
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,24})?"
_DURATION = re.compile(rf"(?=.)(?:({_NUMBER})h)?(?:({_NUMBER})m(?!s))?(?:({_NUMBER})s)?(?:({_NUMBER})ms)?")
_RATE = re.compile(rf"({_NUMBER})/(s|m|h)")
_PERCENT = re.compile(rf"({_NUMBER})%")
_POINTS = re.compile(rf"({_NUMBER})pp")
_PLAIN = re.compile(_NUMBER)

#: A year: longer is a slip of the keyboard.
LONGEST_DURATION = 366 * 86400.0
LOWEST_RATE = 1e-6
HIGHEST_RATE = 1e6


class QuantityError(ValueError):
    """A quantity that cannot be read; the message says what was expected and what was there."""


@dataclass(frozen=True)
class Margin:
    """The size of a difference between arms.

    `value` is a fraction of the baseline when `unit` is "%" (5% is 0.05), a difference of
    proportions for "pp" (1pp is 0.01), seconds for "s", and in the metric's own unit for "".
    """

    value: float
    unit: Literal["%", "pp", "s", ""] = ""

    @property
    def relative(self) -> bool:
        """Whether the margin is on the ratio to the baseline rather than on the difference."""
        return self.unit == "%"

    def __str__(self) -> str:
        if self.unit == "s":
            return format_duration(self.value)
        if self.unit == "":
            return _plain(Decimal(repr(self.value)))
        return _plain(Decimal(repr(self.value)) * 100) + self.unit


def parse_duration(raw: object) -> float:
    """`1m30s` -> 90.0 seconds. Units h, m, s, ms, in this order, each with a decimal number."""
    expected = "a duration such as 90s, 2m, 1m30s or 500ms"
    match = _DURATION.fullmatch(_text(raw, expected))
    if match is None:
        raise _unlike(expected, raw)
    sizes = (Decimal(3600), Decimal(60), Decimal(1), Decimal("0.001"))
    seconds = float(
        sum((Decimal(n) * size for n, size in zip(match.groups(), sizes, strict=True) if n), Decimal(0))
    )
    if seconds > LONGEST_DURATION:
        raise QuantityError(f"expected a duration of at most a year, got {describe(raw)}")
    return seconds


def format_duration(seconds: float) -> str:
    """90.0 -> `1m30s`, 0.5 -> `500ms`."""
    rest = Decimal(repr(seconds))
    if 0 < rest < 1:
        return _plain(rest * 1000) + "ms"
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [_plain(n) + unit for n, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if n]
    return "".join(parts) or "0s"


def parse_rate(raw: object) -> float:
    """`12000/m` -> 200.0 a second. Units s, m, h; greater than 0."""
    expected = "a rate such as 200/s or 12000/m"
    match = _RATE.fullmatch(_text(raw, expected))
    if match is None:
        raise _unlike(expected, raw)
    per = {"s": 1, "m": 60, "h": 3600}[match[2]]
    rate = float(match[1]) / per
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise QuantityError(f"expected a rate from 0.000001/s to 1000000/s, got {describe(raw)}")
    return rate


def format_rate(rate: float) -> str:
    """200.0 -> `200/s`; by the minute or hour where that is the round number."""
    for per, unit in ((1, "s"), (60, "m"), (3600, "h")):
        count = round(rate * per)
        if count and count / per == rate:
            return f"{count}/{unit}"
    return _plain(Decimal(repr(rate))) + "/s"


def parse_fraction(raw: object) -> float:
    """`5%` or 0.05 -> 0.05; from 0 to 1."""
    expected = "a percentage such as 5%"
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        fraction = float(raw) if 0 <= raw <= 1 else -1.0  # also for NaN
    else:
        text = _text(raw, expected)
        match = _PERCENT.fullmatch(text)
        if match is None and _PLAIN.fullmatch(text) is None:
            raise _unlike(expected, raw)
        fraction = float(Decimal(match[1]) / 100) if match else float(text)
    if not 0 <= fraction <= 1:
        hint = f", did you mean {raw}%?" if isinstance(raw, int) and 1 < raw <= 100 else ""
        raise QuantityError(f"expected a percentage from 0% to 100%, got {describe(raw)}{hint}")
    return fraction


def format_fraction(fraction: float) -> str:
    """0.05 -> `5%`."""
    return _plain(Decimal(repr(fraction)) * 100) + "%"


def parse_weight(raw: object) -> int:
    """10 or `10%` -> 10: a share of traffic in whole percent, as Seldon has it, from 1 to 100."""
    expected = "a whole percentage from 1 to 100, such as 10"
    weight = raw
    if isinstance(raw, str):
        match = re.fullmatch(r"([0-9]{1,3})%?", raw.strip())
        weight = int(match[1]) if match else None
    if not isinstance(weight, int) or isinstance(weight, bool) or not 1 <= weight <= 100:
        raise _unlike(expected, raw)
    return weight


def parse_margin(raw: object) -> Margin:
    """`5%`, `1pp`, `20ms` or a plain number, none of them negative."""
    expected = "a margin such as 5%, 1pp, 20ms or 0.1"
    if isinstance(raw, Margin):
        return raw
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        if 0 <= raw <= 1e12:  # also false for NaN
            return Margin(float(raw))
        raise QuantityError(f"expected {expected}, never negative or infinite, got {describe(raw)}")
    text = _text(raw, expected)
    if match := _PERCENT.fullmatch(text):
        return Margin(float(Decimal(match[1]) / 100), "%")
    if match := _POINTS.fullmatch(text):
        return Margin(float(Decimal(match[1]) / 100), "pp")
    if _PLAIN.fullmatch(text):
        return Margin(float(text))
    if _DURATION.fullmatch(text):
        return Margin(parse_duration(text), "s")
    if text.startswith(("-", "+")):
        raise QuantityError(f"a margin is a size and has no sign, got {describe(raw)}")
    raise _unlike(expected, raw)


def parse_level(raw: object) -> float:
    """`200ms` -> 0.2 seconds, or a plain number above 0 in the metric's own unit."""
    expected = "a level such as 200ms or 100"
    try:
        margin = parse_margin(raw)
    except QuantityError:
        raise _unlike(expected, raw) from None
    if margin.relative or margin.unit == "pp" or margin.value == 0:
        raise _unlike(expected, raw)
    return margin.value


def describe(raw: object) -> str:
    """A value in words, short enough for one line and free of control characters."""
    match raw:
        case bool() | None:
            words = {None: "nothing", True: "true", False: "false"}[raw]
        case int() | float():
            words = f"the number {_shortened(repr(raw))}"
        case str():
            words = f'the text "{_shortened(raw)}"'
        case dict():
            words = "a mapping"
        case list() | tuple():
            words = "a list"
        case _:
            words = _shortened(repr(raw))
    return words


def printable(text: str) -> str:
    """The text with what would break a line or a terminal replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _shortened(text: str) -> str:
    return printable(text[:_LONGEST_QUOTE]) + ("…" if len(text) > _LONGEST_QUOTE else "")


def _text(raw: object, expected: str) -> str:
    if isinstance(raw, str) and len(raw) <= _LONGEST_TEXT:
        return raw.strip()
    raise _unlike(expected, raw)


def _unlike(expected: str, raw: object) -> QuantityError:
    return QuantityError(f"expected {expected}, got {describe(raw)}")


def _plain(number: Decimal) -> str:
    """Digits without an exponent and without trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
