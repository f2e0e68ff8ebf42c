"""What is known of the metrics that Fairtrial measures itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["objective", "guardrail"]
Direction = Literal["increase", "decrease"]
Kind = Literal["binary", "mean", "ratio", "count", "quantile"]


@dataclass(frozen=True)
class Family:
    """What is known of a metric that Fairtrial measures itself."""

    column: str
    kind: Kind
    role: Role
    direction: Direction
    scored: bool  # needs the right answers
    in_seconds: bool = False


#: By the name that files use.
FAMILIES = {
    "accuracy": Family("score", "binary", "objective", "increase", scored=True),
    "errorRate": Family("error", "binary", "guardrail", "decrease", scored=False),
    "latency": Family("latency", "mean", "guardrail", "decrease", scored=False, in_seconds=True),
    "absoluteError": Family("absoluteError", "mean", "objective", "decrease", scored=True),
    "squaredError": Family("squaredError", "mean", "objective", "decrease", scored=True),
}
#: Columns that are filled only where the right answers are known.
ANSWERED = frozenset(family.column for family in FAMILIES.values() if family.scored)
BY_COLUMN = {family.column: family for family in FAMILIES.values()}
