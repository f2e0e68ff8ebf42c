"""Which split was in force when a request was made, by the journal."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fairtrial.evidence.arrow import FloatArray
from fairtrial.journal.entries import Effect, Entry, Kind

#: Clocks differ, and proxies take a moment to follow: so long after a change nothing is said.
_SETTLING = 2.0  # seconds


class Segments:
    """Revisions of the split by time; none while it changes."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        """entries: the journal, as far as it goes."""
        self._starts: list[float] = []
        self._labels: list[str | None] = []
        for entry in entries:
            if entry.effect is None or "revision" not in entry.body:
                continue
            if entry.effect not in (Effect.DEPLOY, Effect.SHIFT, Effect.SWITCH):
                continue
            done = entry.kind is Kind.DONE
            self._starts.append(entry.time + (_SETTLING if done else 0.0))
            self._labels.append(entry.body["revision"] if done else None)

    def at(self, times: FloatArray) -> list[str | None]:
        """The label of each time, seconds since the epoch."""
        labels = [None, *self._labels]
        return [labels[place] for place in np.searchsorted(self._starts, times, side="right").tolist()]
