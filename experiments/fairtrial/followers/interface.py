"""What a run asks of one who follows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fairtrial.journal.entries import Entry, Kind


class AwayError(Exception):
    """Nobody answered, or not now; it is tried again. The message is part of a sentence, with no secret."""


class RefusedError(Exception):
    """It was refused, and would be again; it is left out. The message is as that of AwayError."""


class FollowedJournal(Protocol):
    """A run's journal, wherever it is kept, opened for one thread."""

    def append(self, kind: Kind, body: Mapping[str, Any] | None = None) -> object: ...

    def entries(self, *kinds: Kind, after: int = 0) -> list[Entry]: ...

    def close(self) -> None: ...


class Follower(Protocol):
    """Gets the entries of a journal that it wants, in order, each at least once.

    An entry that was taken is not given again, unless the process died before it could write so down.
    """

    @property
    def name(self) -> str:
        """By which it is known again after a crash, e.g. `notifications.0`."""
        ...

    @property
    def at_once(self) -> int:
        """Most entries that it takes in one call."""
        ...

    def wants(self, entry: Entry) -> bool: ...

    def take(self, entries: Sequence[Entry]) -> None:
        """Blocks for a bounded time. Raises AwayError, RefusedError."""
        ...
