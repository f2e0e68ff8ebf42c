"""Somebody who is notified, as a follower of the run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fairtrial.experiment.model import Experiment
from fairtrial.experiment.notifications import EventName
from fairtrial.journal.entries import Entry
from fairtrial.notify.interface import Notifier
from fairtrial.notify.message import event_of, message_of


@dataclass(frozen=True)
class Notified:
    """See `Follower`."""

    name: str
    notifier: Notifier
    events: Collection[EventName] | None  # all of them
    experiment: Experiment
    run: str
    at_once: int = 1

    def wants(self, entry: Entry) -> bool:
        event = event_of(entry)
        return event is not None and (self.events is None or event in self.events)

    def take(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            event = event_of(entry)
            assert event is not None, "nothing else is wanted"
            self.notifier.send(message_of(entry, event, self.experiment, self.run))
