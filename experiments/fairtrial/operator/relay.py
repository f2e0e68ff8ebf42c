"""A run's journal as its followers read it: in threads of their own, beside the one that may write it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from fairtrial.journal.entries import Entry, Kind
from fairtrial.journal.interface import RunJournal


class Relay:
    """What a run has entered, until those who follow it have read it; of one that nobody follows, nothing.

    New entries are whole, looks with all their figures; those of an earlier process are as the resource keeps
    them. What followers append is written by `settle`, in the run's own thread.
    """

    def __init__(self, known: Sequence[Entry]) -> None:
        self._lock = threading.Lock()
        self._known = tuple(known)
        self._readers: list[_Reader] = []
        self._unwritten: list[tuple[Kind, Mapping[str, Any]]] = []

    def open(self) -> _Reader:
        """For one follower, which gets what is known, and what is entered from now on."""
        with self._lock:
            reader = _Reader(self._lock, self._known, self._unwritten, self._readers)
            self._readers.append(reader)
        return reader

    def entered(self, entry: Entry) -> None:
        """Of each new entry of the journal."""
        with self._lock:
            for reader in self._readers:
                reader.unread.append(entry)

    def settle(self, journal: RunJournal) -> None:
        """Write what followers have appended. Raises as the journal's `append` does."""
        with self._lock:
            unwritten = self._unwritten.copy()
            self._unwritten.clear()
        for kind, body in unwritten:
            journal.append(kind, body)


class _Reader:
    """Implements `FollowedJournal`; what comes before `after` is not asked for again, and forgotten."""

    def __init__(
        self,
        lock: threading.Lock,
        known: Sequence[Entry],
        unwritten: list[tuple[Kind, Mapping[str, Any]]],
        readers: list[_Reader],
    ) -> None:
        self.unread = list(known)
        self._lock = lock
        self._unwritten = unwritten
        self._readers = readers

    def entries(self, *kinds: Kind, after: int = 0) -> list[Entry]:
        with self._lock:
            self.unread = [each for each in self.unread if each.seq > after]
            return [each for each in self.unread if not kinds or each.kind in kinds]

    def append(self, kind: Kind, body: Mapping[str, Any] | None = None) -> None:
        with self._lock:
            self._unwritten.append((kind, body or {}))

    def close(self) -> None:
        with self._lock:
            self._readers.remove(self)
