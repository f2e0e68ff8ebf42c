"""Some observations on their way into the tables, with what the metrics share worked out once."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from fairtrial.evidence.arrow import (
    BoolArray,
    FloatArray,
    Index,
    Numbered,
    Numbers,
    RecordBatch,
    failures,
    hashes,
    numbers,
    rows_where,
    whole_numbers,
)
from fairtrial.evidence.strata import Cells

#: Rows that are summed up at a time: what is made of them stays in the processor's cache.
CHUNK = 1 << 15


class Chunk:
    """Rows of a record batch, all with a time and a known arm; `cells` says where each belongs."""

    def __init__(self, batch: RecordBatch, time: FloatArray, arm: Index, cells: Cells) -> None:
        self.batch = batch
        self.size: int = batch.num_rows
        self.time = time
        self.arm = arm
        self.cells = cells
        self._columns: dict[str, Numbers] = {}

    def __getitem__(self, which: BoolArray) -> Chunk:
        return Chunk(rows_where(self.batch, which), self.time[which], self.arm[which], self.cells[which])

    @cached_property
    def failed(self) -> Index:
        """Positions of the requests that failed."""
        return failures(self.batch, "status")

    @cached_property
    def has_failed(self) -> BoolArray:
        """[n] whether the request failed."""
        return mask_of(self.failed, self.size)

    @cached_property
    def row(self) -> Numbered:
        """Which row of the data set was sent."""
        return self._whole("row")

    @cached_property
    def pair(self) -> Numbered | None:
        """Which pair this is half of; None if there is no such column."""
        return whole_numbers(self.batch, "pair")

    @cached_property
    def unit(self) -> Numbered:
        """Hash of the unit of randomisation."""
        return hashes(self.batch, "unit") or self._unknown()

    def numbers(self, name: str) -> Numbers:
        """A column as floats; all NaN if it is not there."""
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = numbers(self.batch, name)
        return found

    def _whole(self, name: str) -> Numbered:
        return whole_numbers(self.batch, name) or self._unknown()

    def _unknown(self) -> Numbered:
        return Numbered(np.zeros(self.size, np.uint64), np.zeros(self.size, np.bool_))


def mask_of(positions: Index, size: int) -> BoolArray:
    """[size] True at the positions."""
    mask = np.zeros(size, np.bool_)
    mask[positions] = True
    return mask
