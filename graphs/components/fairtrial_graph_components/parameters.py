"""The parameters of a graph's node, as seldon-core-microservice hands them to the component's class."""

from __future__ import annotations

import difflib
import math
import os
import sys
from collections.abc import Mapping
from typing import NoReturn


class Parameters:
    """Each is taken out by name; `done` refuses what is left. A mistake ends the process with one
    sentence."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._left = dict(given)
        self._known: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        return str(self._take(name, default)).strip()

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name, choices[0])
        if value not in choices:
            self.refuse(f"parameter {name} is {value!r}, and must be one of {', '.join(choices)}")
        return value

    def flag(self, name: str) -> bool:
        value = str(self._take(name, False)).lower()
        if value not in ("true", "false"):
            self.refuse(f"parameter {name} is {value!r}, and must be true or false")
        return value == "true"

    def number(
        self, name: str, default: float | None, low: float = -math.inf, high: float = math.inf
    ) -> float:
        value = self._take(name, default)
        if value is None:
            self.refuse(f"parameter {name} is missing")
        try:
            number = float(str(value))
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            self.refuse(f"parameter {name} is {value!r}, and must be a number from {low:g} to {high:g}")
        return number

    def whole(self, name: str, default: int | None, low: int, high: int = 2**31) -> int:
        number = self.number(name, default, low, high)
        if not number.is_integer():
            self.refuse(f"parameter {name} is {number:g}, and must be a whole number")
        return int(number)

    def names(self, name: str) -> list[str]:
        return [part.strip() for part in self.text(name).split(",") if part.strip()]

    def weights(self, name: str) -> list[float]:
        """Numbers from 0 on, not all 0."""
        try:
            weights = [float(part) for part in self.names(name)]
        except ValueError:
            weights = [math.nan]
        if not all(0 <= weight < math.inf for weight in weights) or (weights and not any(weights)):
            self.refuse(f"parameter {name} must be numbers from 0 on, with commas between, and not all 0")
        return weights

    def done(self) -> None:
        for name in self._left:
            near = difflib.get_close_matches(name, self._known, 1)
            meant = f", did you mean {near[0]}?" if near else f"; there are {', '.join(self._known)}"
            self.refuse(f"parameter {name} is not known{meant}")

    def refuse(self, sentence: str) -> NoReturn:
        print(f"{os.environ.get('PREDICTIVE_UNIT_ID', 'component')}: {sentence}", file=sys.stderr, flush=True)
        raise SystemExit(2)

    def _take(self, name: str, default: object) -> object:
        self._known.append(name)
        return self._left.pop(name, default)
