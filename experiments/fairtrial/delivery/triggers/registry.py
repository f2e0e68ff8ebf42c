"""A version gets the challenger's alias."""

from __future__ import annotations

import threading
from typing import Protocol

from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.triggers import cursors
from fairtrial.delivery.triggers.interface import Polled

_KIND = "registry"


class Version(Protocol):
    @property
    def model(self) -> str: ...

    @property
    def version(self) -> str: ...


class Registry(Protocol):
    def holder(self, alias: str) -> Version | None:
        """The version that has the alias; None for none. Raises NotReadyError in words."""
        ...


class AliasTrigger:
    """See `Trigger`. The alias is state, not a message: what it says now is what is acted upon.

    One that was moved twice between two polls gives one event, for the version that has it now; one that
    moved away and back between them gives none.
    """

    def __init__(self, name: str, registry: Registry, alias: str, every: float) -> None:
        """every: seconds from poll to poll."""
        self._name = name
        self._registry = registry
        self._alias = alias
        self._every = every
        self._nudged = threading.Event()

    @property
    def name(self) -> str:
        return self._name

    def nudge(self) -> None:
        """Be due at once. From any thread."""
        self._nudged.set()

    def due(self, now: float, last: float | None) -> float:
        """See `Trigger`."""
        if last is None or last > now or self._nudged.is_set():
            return now
        return last + self._every

    def poll(self, now: float, cursor: str | None) -> Polled:
        """See `Trigger`."""
        self._nudged.clear()  # before asking: a nudge that comes meanwhile is one for the next poll
        seen = cursors.read(_KIND, cursor) or {"model": None, "version": None, "generation": 0}
        holder = self._registry.holder(self._alias)
        if holder is None:
            # The generation stays, so that the same version is a new event when it gets the alias again.
            return Polled((), self._cursor(None, None, seen["generation"]))
        if (holder.model, holder.version) == (seen["model"], seen["version"]):
            return Polled((), cursor)
        generation = seen["generation"] + 1
        event = Event(
            key=f"{self._name}:{holder.model}:{holder.version}:{generation}",
            happening=Happening.CHALLENGER,
            trigger=self._name,
            time=now,
            body={"model": holder.model, "version": holder.version},
        )
        return Polled((event,), self._cursor(holder.model, holder.version, generation))

    @staticmethod
    def _cursor(model: str | None, version: str | None, generation: int) -> str:
        return cursors.write(_KIND, model=model, version=version, generation=generation)
