"""Which split was in force when a request was made, by the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa

from fairtrial.evidence.arrow import FloatArray, Tabular
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


def labelled(observations: Tabular, entries: Callable[[], Iterable[Entry]]) -> Tabular:
    """Observations with a label for requests through a split whose answers carry none, as those of Istio's.

    entries: the journal's, asked for only where there are such requests.

    The journal only ever grows at times after what was observed by then, so that these labels never change.
    """
    at = observations.schema.get_field_index("segment")
    if at < 0:
        return observations
    said = np.array(observations["segment"].to_pylist(), object)
    unlabelled = (said == "") & (np.array(observations["arm"].to_pylist(), object) != "")
    if not unlabelled.any():
        return observations
    times = np.array(observations["time"].to_pylist(), np.float64)[unlabelled]
    said[unlabelled] = [label or "" for label in Segments(entries()).at(times)]
    return observations.set_column(at, "segment", pa.array(said.tolist(), pa.string()))
