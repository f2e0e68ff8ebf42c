"""What the judge carries from look to look: small, and all of it in a journal as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from fairtrial.judge.verdict import Decision


@dataclass(frozen=True)
class ClaimState:
    """One claim of one candidate."""

    fractions: tuple[float, ...] = ()  # information at each of its looks, increasing
    statistics: tuple[float, ...] = ()  # z at each
    drift: float | None = None  # expected z at full information, frozen at its first look
    boundary: float | None = None  # critical z at its last look that could reject anything
    crossed_at_look: int | None = None
    crossed_statistic: float | None = None
    crossed_boundary: float | None = None
    test: str | None = None  # which test a fixed horizon was judged by

    @property
    def information(self) -> float:
        """Fraction of the planned maximum that has been looked at."""
        return self.fractions[-1] if self.fractions else 0.0

    @property
    def crossed(self) -> bool:
        return self.crossed_at_look is not None


@dataclass(frozen=True)
class State:
    """Claims are keyed "candidate/metric/claim". A decision is there once it is final."""

    look: int = 0
    claims: Mapping[str, ClaimState] = field(default_factory=dict[str, ClaimState])
    decisions: Mapping[str, Decision] = field(default_factory=dict[str, Decision])

    def claim(self, candidate: str, metric: str, claim: str) -> ClaimState:
        """A claim's state; a fresh one before its first look."""
        return self.claims.get(claim_key(candidate, metric, claim), ClaimState())

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> State:
        """Raises ValueError, KeyError or TypeError if the text is not a state."""
        raw: dict[str, Any] = json.loads(text)
        return cls(
            look=int(raw["look"]),
            claims={key: _claim_state(each) for key, each in raw["claims"].items()},
            decisions={name: Decision(value) for name, value in raw["decisions"].items()},
        )


def _claim_state(raw: dict[str, Any]) -> ClaimState:
    state = ClaimState(**raw)
    return replace(state, fractions=tuple(state.fractions), statistics=tuple(state.statistics))


def claim_key(candidate: str, metric: str, claim: str) -> str:
    """The key of a claim in `State.claims`."""
    return f"{candidate}/{metric}/{claim}"
