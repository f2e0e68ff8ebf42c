"""A run's journal as its followers read it: in threads of their own, beside the one that may write it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from fairtrial.journal.entries import Entry, Kind
from fairtrial.journal.interface import RunJournal


class Relay:
    """Implements `FollowedJournal`. What followers append is written by `settle`, in the run's own thread.

    New entries are whole, looks with all their figures; those of an earlier process are as the resource keeps
    them.
    """

    def __init__(self, known: Sequence[Entry]) -> None:
        self._lock = threading.Lock()
        self._entries = list(known)
        self._unwritten: list[tuple[Kind, Mapping[str, Any]]] = []

    def entered(self, entry: Entry) -> None:
        """Of each new entry of the journal."""
        with self._lock:
            self._entries.append(entry)

    def entries(self, *kinds: Kind, after: int = 0) -> list[Entry]:
        with self._lock:
            return [e for e in self._entries if e.seq > after and (not kinds or e.kind in kinds)]

    def append(self, kind: Kind, body: Mapping[str, Any] | None = None) -> None:
        with self._lock:
            self._unwritten.append((kind, body or {}))

    def settle(self, journal: RunJournal) -> None:
        """Write what followers have appended. Raises as the journal's `append` does."""
        with self._lock:
            unwritten, self._unwritten = self._unwritten, []
        for kind, body in unwritten:
            journal.append(kind, body)

    def close(self) -> None:
        """It is open as long as the run goes on."""
