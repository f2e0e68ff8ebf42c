"""A run that goes forward at its times only, as `spec.schedule` asks for.

What a run waits for before it begins or promotes stands in its journal, once for each wait; steps that are
held stand there as those of any other hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from fairtrial.experiment.schedule import Schedule
from fairtrial.journal.entries import Entry, Kind
from fairtrial.planning.calendar import Calendar

_WAITS = {"begin": "the trial waits to begin", "promote": "the promotion waits"}


class Entries(Protocol):
    """What is needed of a journal."""

    def append(self, kind: Kind, body: Mapping[str, Any] | None = None) -> object: ...

    def last(self, kind: Kind) -> Entry | None: ...


class WindowGate:
    """Implements `Holds`."""

    def __init__(self, schedule: Schedule | None, journal: Entries, now: Callable[[], float]) -> None:
        self._calendar = Calendar(schedule) if schedule is not None else None
        self._journal = journal
        self._now = now
        self._closed: tuple[float, float, str] | None = None  # from, until, and why

    def start(self) -> str | None:
        """See `Holds`. Each wait is journalled once."""
        return self._waits("begin")

    def next_step(self) -> str | None:
        """See `Holds`."""
        if self._calendar is None:
            return None
        now = self._now()
        if self._closed is not None and self._closed[0] <= now < self._closed[1]:
            return self._closed[2]  # asked several times a second, for hours
        why = self._calendar.why_closed(now)
        self._closed = (now, self._calendar.opens(now), why) if why is not None else None
        return why

    def promotion(self) -> str | None:
        """See `Holds`. Each wait is journalled once."""
        return self._waits("promote")

    def _waits(self, to: Literal["begin", "promote"]) -> str | None:
        why = self.next_step()
        if why is not None and self._closed is not None:
            body = {"to": to, "until": self._closed[1], "reason": f"{_WAITS[to]}: {why}"}
            known = self._journal.last(Kind.AWAITS_WINDOW)
            if known is None or known.body != body:
                self._journal.append(Kind.AWAITS_WINDOW, body)
        return why
