"""Everybody whom the pipeline names is told of each entry of the ledger: at least once, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fairtrial.clock import Clock
from fairtrial.delivery.inbox import Inbox
from fairtrial.delivery.ledger import Action, Entry, newest, read
from fairtrial.delivery.pipeline.model import Pipeline
from fairtrial.delivery.state import State
from fairtrial.followers.interface import AwayError, RefusedError
from fairtrial.notify.choose import notifier_from
from fairtrial.notify.interface import Notifier
from fairtrial.notify.message import Message
from fairtrial.pauses import pause_after

_FIRST, _LONGEST = 1.0, 300.0  # seconds until somebody who was away is tried again

_TITLES = {
    Action.ADOPTED: "in service",
    Action.PROMOTED: "promoted",
    Action.REFUSED: "refused",
    Action.ROLLED_BACK: "rolled back",
    Action.RETRAINING: "retraining",
    Action.NOTED: "to know",
    Action.FAILED: "failed",
}


class Teller:
    """Tells what was not told yet, also what an earlier process wrote; the cursor is kept in the state."""

    def __init__(self, pipeline: Pipeline, state: State, clock: Clock, say: Callable[[str], None]) -> None:
        """Raises UsageError where an address that is not in the file is not where it says either."""
        self._pipeline = pipeline
        self._state = state
        self._inbox = Inbox(state)
        self._clock = clock
        self._say = say
        self._told = [
            _Told(f"told:{number}", notifier_from(said, pipeline.folder, number), said.events)
            for number, said in enumerate(pipeline.spec.notifications)
        ]
        for each in self._told:
            cursor = self._inbox.cursor(each.name)
            if cursor is None:  # who is new is not told of all that ever was
                self._advance(each, newest(state))
            else:
                each.known = int(cursor)

    def tell(self) -> None:
        """Tell everybody who can be told now. Never raises for one who cannot."""
        if not self._told:
            return
        last, now = newest(self._state), self._clock.now()
        waiting = [each for each in self._told if each.known < last and now >= each.not_before]
        if waiting:
            entries = read(self._state)
            for each in waiting:
                self._tell(each, entries)

    def _tell(self, told: _Told, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.seq <= told.known:
                continue
            if told.events is None or entry.action.value in told.events:
                try:
                    told.notifier.send(message_of(self._pipeline, entry))
                except AwayError as error:
                    told.failures += 1
                    told.not_before = self._clock.now() + pause_after(told.failures, _FIRST, _LONGEST)
                    if told.failures == 1:
                        self._say(f"spec.notifications: {error}; it is tried again")
                    return
                except RefusedError as error:
                    self._say(f"spec.notifications: {error}")
            told.failures = 0
            self._advance(told, entry.seq)

    def _advance(self, told: _Told, seq: int) -> None:
        self._inbox.put((), cursor=(told.name, str(seq)))
        told.known = seq


class _Told:
    def __init__(self, name: str, notifier: Notifier, events: Sequence[str] | None) -> None:
        self.name = name
        self.notifier = notifier
        self.events = events
        self.known = 0  # the last entry that it was told of
        self.failures = 0
        self.not_before = 0.0


def message_of(pipeline: Pipeline, entry: Entry) -> Message:
    """What is told of an entry; the id is the same whenever it is told."""
    which = f"{entry.model} {entry.version}" if entry.version is not None else entry.model
    return Message(
        id=f"{pipeline.name}/{entry.seq}",
        event=entry.action.value,
        run=str(entry.evidence.get("run") or entry.event),
        experiment=pipeline.name,
        headline=f"{which}: {_TITLES[entry.action]}",
        time=entry.time,
        text=entry.why,
        details={"version": entry.version, "before": entry.before, "by": entry.by, **entry.evidence},
    )
