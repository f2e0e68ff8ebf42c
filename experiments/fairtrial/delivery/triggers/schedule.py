"""A time of the clock comes."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import takewhile

from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.triggers import cursors
from fairtrial.delivery.triggers.interface import Polled
from fairtrial.times import times_after

_KIND = "schedule"


class ScheduleTrigger:
    """See `Trigger`. Several times that passed while nobody watched are one event, for the latest of them.

    The first poll gives none, nor does the first after the line or the zone was changed: what would have
    come before then was never promised.
    """

    def __init__(self, name: str, cron: str, zone: str) -> None:
        """Both were checked: see `times`."""
        self._name = name
        self._cron = cron
        self._zone = zone
        self._next: tuple[float, float] | None = None  # after which moment, and when

    @property
    def name(self) -> str:
        return self._name

    def due(self, now: float, last: float | None) -> float:
        """See `Trigger`."""
        if last is None:
            return now
        if self._next is None or self._next[0] != last:
            self._next = (last, next(times_after(self._cron, self._zone, last)))
        return self._next[1]

    def poll(self, now: float, cursor: str | None) -> Polled:
        """See `Trigger`."""
        seen = cursors.read(_KIND, cursor)
        if seen is None or (seen["cron"], seen["zone"]) != (self._cron, self._zone):
            return Polled((), self._cursor(now))
        times = times_after(self._cron, self._zone, seen["at"])
        passed = list(takewhile(lambda time: time <= now, times))
        if not passed:
            return Polled((), cursor)
        at = passed[-1]
        in_words = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = Event(
            key=f"{self._name}:{in_words}",
            happening=Happening.SCHEDULED,
            trigger=self._name,
            time=at,
            body={"at": at, "missed": len(passed) - 1},
        )
        return Polled((event,), self._cursor(at))

    def _cursor(self, at: float) -> str:
        return cursors.write(_KIND, cron=self._cron, zone=self._zone, at=at)
