"""Whether production may be changed at a time, and when that changes next: pure, from the schedule alone."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

from fairtrial.experiment.schedule import Freeze, Schedule, Window
from fairtrial.times import times_after, zone_of

#: A week of minutes: windows that open in one another for longer close when nobody waits for it.
_MOST_OPENINGS = 7 * 24 * 60


class Calendar:
    """Times are in seconds since the epoch. Windows and freezes hold their first moment, not their last."""

    def __init__(self, schedule: Schedule) -> None:
        self._zone = zone_of(schedule.time_zone)
        self._name = schedule.time_zone
        self._windows = schedule.windows
        self._freezes = [self._span(freeze) for freeze in schedule.freezes]

    def is_open(self, moment: float) -> bool:
        return not self._frozen(moment) and (
            not self._windows or any(self._holds(window, moment) for window in self._windows)
        )

    def opens(self, moment: float) -> float:
        """When it is open again, from this moment on; the moment itself where it is open then."""
        while not self.is_open(moment):
            over = [end for begin, end in self._freezes if begin <= moment < end]
            moment = max(over) if over else min(next(self._openings(each, moment)) for each in self._windows)
        return moment

    def closes(self, moment: float) -> float | None:
        """When it is closed again, of a moment at which it is open; None: not as far as one can see."""
        closes = self._windows_close(moment) if self._windows else None
        ends = [begin for begin, _ in self._freezes if begin > moment]
        return min([*ends, *([closes] if closes is not None else [])], default=None)

    def in_words(self, moment: float) -> str:
        """ "Mon 2026-11-30 09:00 CET"."""
        return datetime.fromtimestamp(moment, self._zone).strftime("%a %Y-%m-%d %H:%M %Z")

    def why_closed(self, moment: float) -> str | None:
        """What is waited for and until when; the same words as long as it is. None where it is open."""
        opens = self.opens(moment)
        if opens == moment:
            return None
        frees = any(end == opens for _, end in self._freezes)
        what = "the freeze of spec.schedule ends" if frees else "the next window of spec.schedule opens"
        return f"{what} {self.in_words(opens)}"

    def standing(self, moment: float) -> str:
        """Whether it is open, and until when, in words."""
        if not self.is_open(moment):
            return f"closed: {self.why_closed(moment)}"
        closes = self.closes(moment)
        return "open" if closes is None else f"open until {self.in_words(closes)}"

    def _windows_close(self, moment: float) -> float | None:
        """The end of the windows that hold this moment, and of those that open before they have ended."""
        spans = heapq.merge(*(self._spans(each, moment - each.lasts) for each in self._windows))
        end = moment
        for opens, closes in islice(spans, _MOST_OPENINGS):
            if opens > end:
                return end
            end = max(end, closes)
        return None

    def _holds(self, window: Window, moment: float) -> bool:
        return next(self._openings(window, moment - window.lasts)) <= moment

    def _spans(self, window: Window, after: float) -> Iterator[tuple[float, float]]:
        return ((opens, opens + window.lasts) for opens in self._openings(window, after))

    def _openings(self, window: Window, after: float) -> Iterator[float]:
        return times_after(window.cron, self._name, after)

    def _frozen(self, moment: float) -> bool:
        return any(begin <= moment < end for begin, end in self._freezes)

    def _span(self, freeze: Freeze) -> tuple[float, float]:
        begins, ends = datetime.fromisoformat(freeze.begins), datetime.fromisoformat(freeze.ends)
        if "T" not in freeze.ends:
            ends += timedelta(days=1)
        return begins.replace(tzinfo=self._zone).timestamp(), ends.replace(tzinfo=self._zone).timestamp()
