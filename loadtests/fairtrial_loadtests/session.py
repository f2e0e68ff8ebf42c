"""One session of a load that several send: who has which share, how far each is, who holds up the rest.

A session ends when its shares do, or when a worker is lost: then the next begins at the first arrival that
is not recorded. No clock and no network: what is told comes in, with the time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairtrial_loadtests.arrivals import Schedule
from fairtrial_loadtests.delivery import Inbox
from fairtrial_loadtests.merging import Merger
from fairtrial_loadtests.messages import Batch, from_bytes


class Session:
    """The workers `members` send the arrivals of `schedule` from `first` on, each its share.

    Times are `time.monotonic()`.
    """

    def __init__(self, key: str, members: Sequence[str], schedule: Schedule, first: int) -> None:
        self.key = key
        self.members = tuple(members)
        self.merger = Merger(schedule, first, len(self.members))
        self.begun: float | None = None  # when time 0 of the schedule was, once it has begun
        self.went_at = 0.0  # when the workers were told to begin
        self.asked_to_stop: float | None = None
        self.stop_at = math.inf  # moment of the schedule from which no arrival is begun
        self.ready: set[str] = set()
        self.ended: dict[str, Batch] = {}  # each worker's last word
        self._inboxes = {member: Inbox() for member in self.members}
        self._moved = dict.fromkeys(self.members, 0.0)  # when each last told something

    @property
    def all_ready(self) -> bool:
        return self.ready.issuperset(self.members)

    @property
    def over(self) -> bool:
        """Whether every share is sent and recorded."""
        return len(self.ended) == len(self.members)

    @property
    def broken(self) -> bool:
        """Whether a worker met a bug: its share ends there, and what comes after is of no use."""
        return any(last.bug for last in self.ended.values())

    def receive(self, member: str, number: int, message: dict[str, object], now: float) -> int:
        """Take a batch if it is next in turn. Returns the number to acknowledge.

        Raises ArrowInvalid or KeyError for what is no batch.
        """
        inbox = self._inboxes[member]
        if number == inbox.received + 1:
            batch = Batch.from_message(message)
            table = from_bytes(batch.table)
            inbox.accept(number)
            self.merger.add(self.members.index(member), table, batch.reached)
            self._moved[member] = now
            if batch.reason:
                self.ended[member] = batch
        return inbox.received

    def stalled(self, now: float, patience: float) -> list[str]:
        """Who has told nothing for `patience` seconds, though something was due for as long.

        A share is due up to the present; once it was asked to stop, as a whole.
        """
        begun, asked = self.begun, self.asked_to_stop
        if begun is None:
            return []
        return [
            member
            for member, reached in zip(self.members, self.merger.reached, strict=True)
            if member not in self.ended
            and now - max(self._moved[member], begun) > patience
            and (now - begun - reached.time > patience or (asked is not None and now - asked > patience))
        ]
