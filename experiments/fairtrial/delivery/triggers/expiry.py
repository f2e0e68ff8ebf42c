"""The version in service is older than it may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.triggers.interface import Polled

#: The version that serves, and since when: seconds since the epoch. None while there is none.
InService: TypeAlias = Callable[[], tuple[str, float] | None]

#: Seconds between looks: what lives for days need not be ended to the second.
_EVERY = 60.0


class ExpiryTrigger:
    """See `Trigger`. Each promotion expires once; a version that is promoted again expires again."""

    def __init__(self, name: str, time_to_live: float, in_service: InService) -> None:
        self._name = name
        self._time_to_live = time_to_live
        self._in_service = in_service

    @property
    def name(self) -> str:
        return self._name

    def due(self, now: float, last: float | None) -> float:
        """See `Trigger`."""
        if last is None or last > now:
            return now
        return last + min(_EVERY, self._time_to_live)

    def poll(self, now: float, cursor: str | None) -> Polled:
        """See `Trigger`. The cursor is the key of the last event."""
        serving = self._in_service()
        if serving is None:
            return Polled((), cursor)
        version, since = serving
        key = f"{self._name}:{version}:{since:.3f}"
        if now - since < self._time_to_live or key == cursor:
            return Polled((), cursor)
        event = Event(
            key=key,
            happening=Happening.EXPIRED,
            trigger=self._name,
            time=since + self._time_to_live,
            body={"version": version, "age": now - since},
        )
        return Polled((event,), key)
