"""The triggers that are asked, in a thread of their own, so that a trial keeps none of them waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from fairtrial.clock import Clock
from fairtrial.delivery.inbox import Inbox
from fairtrial.delivery.state import State
from fairtrial.delivery.triggers.interface import Trigger
from fairtrial.errors import FairtrialError, NotReadyError
from fairtrial.pauses import pause_after

_FIRST, _LONGEST = 1.0, 60.0  # seconds until a source that does not answer is asked again


class Poller:
    """What they find goes into the inbox, in one transaction with the trigger's cursor."""

    def __init__(
        self, triggers: Sequence[Trigger], folder: Path, clock: Clock, say: Callable[[str], None]
    ) -> None:
        """folder: the pipeline's own."""
        self._triggers = triggers
        self._folder = folder
        self._clock = clock
        self._say = say
        self._last: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._away: dict[str, str] = {}

    @property
    def away(self) -> list[str]:
        """The triggers whose source did not answer when it was asked last, and why, in words."""
        return [f"{name}: {why}" for name, why in self._away.items()]

    def poll(self, inbox: Inbox, *, at_once: bool = False) -> int:
        """Ask those that are due; how many events came. Raises StateError.

        at_once: all of them, whenever they were asked last.
        """
        came = 0
        for trigger in self._triggers:
            now = self._clock.now()
            if not at_once and now < max(
                trigger.due(now, self._last.get(trigger.name)), self._not_before.get(trigger.name, 0.0)
            ):
                continue
            self._last[trigger.name] = now
            try:
                found = trigger.poll(now, inbox.cursor(trigger.name))
            except NotReadyError as error:
                self._failed(trigger.name, now, error)
                continue
            if self._failures.pop(trigger.name, 0):
                self._not_before.pop(trigger.name)
                self._away.pop(trigger.name)
                self._say(f"{trigger.name}: asked again, and answered")
            cursor = None if found.cursor is None else (trigger.name, found.cursor)
            fresh = inbox.put(found.events, cursor=cursor)
            came += len(fresh)
            for event in fresh:
                self._say(event.summary)
        return came

    def serve(self, ended: threading.Event, wake: threading.Event) -> None:
        """Poll until `ended`; `wake` is set when something came.

        Raises StateError, and whatever a trigger raises that is not to be expected of it.
        """
        state = State(self._folder)
        try:
            inbox = Inbox(state)
            while not ended.is_set():
                if self.poll(inbox):
                    wake.set()
                ended.wait(self._pause())
        finally:
            state.close()
            wake.set()

    def _pause(self) -> float:
        now = self._clock.now()
        due = [
            max(t.due(now, self._last.get(t.name)), self._not_before.get(t.name, 0.0)) - now
            for t in self._triggers
        ]
        return min(1.0, max(0.05, min(due, default=1.0)))

    def _failed(self, name: str, now: float, error: FairtrialError) -> None:
        failures = self._failures.get(name, 0)
        if failures == 0:
            self._say(f"{name}: {error}; it is asked again")
        self._failures[name] = failures + 1
        self._away[name] = str(error)
        self._not_before[name] = now + pause_after(failures + 1, _FIRST, _LONGEST)
