"""Batches that arrive once each and in order, whatever becomes of the messages that carry them.

The sender numbers them and keeps each until its receipt is acknowledged; where that takes too long it sends
again all that are not. The receiver takes the next in turn and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

_RESEND_AFTER = 2.0  # seconds without an acknowledgement


class Outbox:
    """The sender's side. Times are `time.monotonic()`."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, Mapping[str, Any]]] = deque()
        self._next = 0
        self._unsent = 0  # number of the first that was never sent
        self._moved = 0.0  # when something was last sent, or acknowledged

    @property
    def empty(self) -> bool:
        """Whether all that was put in is known to have arrived."""
        return not self._kept

    def put(self, batch: Mapping[str, Any]) -> None:
        self._kept.append((self._next, batch))
        self._next += 1

    def acknowledge(self, number: int, now: float) -> None:
        """All up to this number have arrived."""
        while self._kept and self._kept[0][0] <= number:
            self._kept.popleft()
            self._moved = now

    def to_send(self, now: float) -> list[tuple[int, Mapping[str, Any]]]:
        """What is to be sent now, by number."""
        if self._kept and now - self._moved > _RESEND_AFTER:
            self._unsent = self._kept[0][0]
        due = [each for each in self._kept if each[0] >= self._unsent]
        if due:
            self._unsent = self._next
            self._moved = now
        return due


class Inbox:
    """The receiver's side. `received` is the number to acknowledge, -1 before the first."""

    def __init__(self) -> None:
        self.received = -1

    def accept(self, number: int) -> bool:
        """Whether this one is next in turn, and is to be taken."""
        if number != self.received + 1:
            return False
        self.received = number
        return True
