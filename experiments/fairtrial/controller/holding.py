"""What keeps a run from going forward while it is judged: a pause, a baseline that is down, a person to ask.

Nothing holds a rollback. The step of a run stays a pure function of its looks and its journal: between which
looks it was held is journalled, so that a resumed run stands where it stood.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from fairtrial.journal.entries import Kind
from fairtrial.journal.interface import RunJournal


class Holds(Protocol):
    """Each answers why not, in words, or None."""

    def next_step(self) -> str | None:
        """Whether the traffic may be shifted towards a candidate."""
        ...

    def promotion(self) -> str | None:
        """Whether a candidate that passed may take over."""
        ...


class NoHolds:
    """Nobody stops a run that goes forward."""

    def next_step(self) -> None:
        return None

    def promotion(self) -> None:
        return None


class HeldLooks:
    """At which looks the run did not go forward."""

    def __init__(self, journal: RunJournal, reason: Callable[[], str | None]) -> None:
        """reason: why it may not go forward now, None if it may."""
        self._journal = journal
        self._reason = reason
        self._known = max((e.body["look"] for e in journal.entries(Kind.LOOK)), default=0)
        self._spans: list[tuple[int, float]] = []
        for entry in journal.entries(Kind.HELD, Kind.RELEASED):
            self._note(entry.kind, int(entry.body["look"]))

    def at(self, look: int) -> bool:
        """Whether the run is held at this look. Those that an earlier process judged are as they were."""
        if look > self._known:
            why = self._reason()
            if (why is not None) != self._now:
                kind = Kind.RELEASED if why is None else Kind.HELD
                self._journal.append(kind, {"look": look, "reason": why})
                self._note(kind, look)
        return any(first <= look < end for first, end in self._spans)

    @property
    def _now(self) -> bool:
        return bool(self._spans) and self._spans[-1][1] == math.inf

    def _note(self, kind: Kind, look: int) -> None:
        if kind is Kind.HELD and not self._now:
            self._spans.append((look, math.inf))
        elif kind is Kind.RELEASED and self._now:
            self._spans[-1] = (self._spans[-1][0], look)
