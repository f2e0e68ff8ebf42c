"""Counts a row of the data set once: its first usable value on each side is the one that counts."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from fairtrial.evidence.arrow import BoolArray, FloatArray, Index
from fairtrial.evidence.keys import Keys
from fairtrial.evidence.seen import SeenKeys


@dataclass(frozen=True)
class Entries:
    """Usable values on their way into a table. Arrays of one length; `values` is [n, 1] or [n, 2]."""

    stratum: Index
    side: Index  # arm, or candidate where values are of pairs
    values: FloatArray
    time: FloatArray
    row: Keys
    row_known: BoolArray

    def __getitem__(self, which: BoolArray | Index) -> Entries:
        return Entries(**{each.name: getattr(self, each.name)[which] for each in fields(self)})


class RowLedger:
    """Remembers the first entry of each row and side, so that two ledgers can be merged exactly."""

    def __init__(self, sides: int) -> None:
        self._sides = np.uint64(sides)
        self._seen = SeenKeys()
        self._log: list[Entries] = []

    def first(self, entries: Entries) -> Entries:
        """Those entries whose row is new on their side; all of them must have a known row."""
        fresh = entries[self._seen.add(self._keys(entries))]
        self._log.append(fresh)
        return fresh

    def merge(self, other: RowLedger, place: Index) -> None:
        """Take over another ledger, whose stratum i is place[i] here; call `settle` when all is in."""
        for each in other._log:
            self.append(
                Entries(place[each.stratum], each.side, each.values, each.time, each.row, each.row_known)
            )

    def append(self, entries: Entries) -> None:
        """Add entries whatever their rows; call `settle` when all is in."""
        self._log.append(entries)

    def settle(self) -> Entries:
        """Of all entries, the first in intended time of each row and side; the others are forgotten."""
        log, self._log, self._seen = self._log, [], SeenKeys()
        together = Entries(
            **{
                each.name: np.concatenate([getattr(part, each.name) for part in log])
                for each in fields(Entries)
            }
        )
        return self.first(together[np.argsort(together.time, kind="stable")])

    @property
    def empty(self) -> bool:
        """Whether nothing was ever added."""
        return not self._log

    def _keys(self, entries: Entries) -> Keys:
        return entries.row * self._sides + entries.side.astype(np.uint64)
