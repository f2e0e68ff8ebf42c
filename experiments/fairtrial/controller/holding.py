"""What keeps a run from going forward while it is judged: a pause, a baseline that is down, a person to ask,
the time of day.

Nothing holds a rollback. The step of a run stays a pure function of its looks and its journal: between which
looks it was held is journalled, so that a resumed run stands where it stood.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Protocol

from fairtrial.clock import Clock
from fairtrial.journal.entries import Effect, Kind
from fairtrial.journal.interface import RunJournal

_POLL_SECONDS = 0.2


class Holds(Protocol):
    """Each answers why not, in words, or None."""

    def start(self) -> str | None:
        """Whether the first deployment may be made."""
        ...

    def next_step(self) -> str | None:
        """Whether the traffic may be shifted towards a candidate."""
        ...

    def promotion(self) -> str | None:
        """Whether a candidate that passed may take over."""
        ...


class NoHolds:
    """Nobody stops a run that goes forward."""

    def start(self) -> None:
        return None

    def next_step(self) -> None:
        return None

    def promotion(self) -> None:
        return None


class AllHolds:
    """Implements `Holds`: a run goes forward when each of several lets it."""

    def __init__(self, *holds: Holds) -> None:
        self._holds = holds

    def start(self) -> str | None:
        return _all(hold.start() for hold in self._holds)

    def next_step(self) -> str | None:
        return _all(hold.next_step() for hold in self._holds)

    def promotion(self) -> str | None:
        return _all(hold.promotion() for hold in self._holds)


def _all(reasons: Iterable[str | None]) -> str | None:
    return "; ".join(why for why in reasons if why is not None) or None


def await_release(
    why_not: Callable[[], str | None],
    tell: Callable[[str], None],
    meanwhile: Callable[[], None],
    clock: Clock,
) -> None:
    """Wait until nothing holds the run. tell: told why, once for each reason. meanwhile: may raise."""
    told = None
    while (why := why_not()) is not None:
        if why != told:
            tell(why)
            told = why
        meanwhile()
        clock.sleep(_POLL_SECONDS)


class HeldLooks:
    """At which looks that lead forward the run did not go forward."""

    def __init__(
        self,
        journal: RunJournal,
        reason: Callable[[], str | None],
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """reason: why it may not go forward now, None if it may. tell: told why, once for each hold."""
        self._journal = journal
        self._reason = reason
        self._tell = tell
        looks = journal.entries(Kind.LOOK)
        self._known = max((e.body["look"] for e in looks), default=0)
        self._owed = self._known if looks and not _shifted_after(journal, looks[-1].seq) else 0
        self._spans: list[tuple[int, float]] = []
        for entry in journal.entries(Kind.HELD, Kind.RELEASED):
            self._note(entry.kind, int(entry.body["look"]))

    def at(self, look: int) -> bool:
        """Whether the run is held at this look. Those that an earlier process judged are as they were.

        But where that process died before it made what the look had led to, that is held by what holds now.
        """
        if look > self._known or (look == self._owed and not self._holds(look)):
            why = self._reason()
            if (why is not None) != self._now:
                kind = Kind.RELEASED if why is None else Kind.HELD
                self._journal.append(kind, {"look": look, "reason": why})
                self._note(kind, look)
                if why is not None:
                    self._tell(why)
        return self._holds(look)

    def _holds(self, look: int) -> bool:
        return any(first <= look < end for first, end in self._spans)

    @property
    def _now(self) -> bool:
        return bool(self._spans) and self._spans[-1][1] == math.inf

    def _note(self, kind: Kind, look: int) -> None:
        if kind is Kind.HELD and not self._now:
            self._spans.append((look, math.inf))
        elif kind is Kind.RELEASED and self._now:
            self._spans[-1] = (self._spans[-1][0], look)


def _shifted_after(journal: RunJournal, seq: int) -> bool:
    """Whether a division of the traffic was begun after this entry."""
    begun = journal.entries(Kind.INTENDED, after=seq)
    return any(entry.effect in (Effect.DEPLOY, Effect.SHIFT) for entry in begun)
