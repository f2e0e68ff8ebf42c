"""The tables that observations are summed into, one a metric. All take whole columns.

Each has `add(stratum, side, values)`: positions on the stratum axis [n], on the arm (or candidate) axis
[n], and the values [n, 1], or [n, 2] for pairs (baseline, candidate); all of them usable numbers.
"""

from __future__ import annotations

from typing import Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from fairtrial.evidence.strata import Index, compact
from fairtrial.judge.evidence import FloatArray, IntArray, add_moments
from fairtrial.stats.buckets import LogBuckets

_Number = TypeVar("_Number", np.int64, np.float64)


class MetricTable(Protocol):
    """What the builder needs of a table."""

    def add(self, stratum: Index, side: Index, values: FloatArray) -> None: ...

    def merge(self, other: Self, place: Index) -> None:
        """Add another table, whose stratum i is place[i] here."""
        ...


def grown(table: npt.NDArray[_Number], size: int) -> npt.NDArray[_Number]:
    """The table with at least `size` rows: capacity doubles, so that growth costs little in sum."""
    if size <= table.shape[0]:
        return table
    larger = np.zeros((max(size, 2 * table.shape[0]), *table.shape[1:]), table.dtype)
    larger[: table.shape[0]] = table
    return larger


class CountTable:
    """Counts by stratum, side and cell; subclasses say which cell a value belongs in."""

    def __init__(self, sides: int, cells: int) -> None:
        self._counts = np.zeros((1, sides, cells), np.int64)

    def add_cells(self, stratum: Index, side: Index, cell: Index) -> None:
        """Count one in each named cell [n]."""
        if not stratum.size:
            return
        self._counts = grown(self._counts, int(stratum.max()) + 1)
        _, sides, cells = self._counts.shape
        present, local = compact(stratum, self._counts.shape[0])
        flat = (local * sides + side) * cells + cell
        added = np.bincount(flat, minlength=present.size * sides * cells)
        self._counts[present] += added.reshape(present.size, sides, cells)

    def merge(self, other: Self, place: Index) -> None:
        """Add another table, whose stratum i is place[i] here."""
        if place.size:
            self._counts = grown(self._counts, int(place.max()) + 1)
            self._counts[place] += other.table(place.size)

    def table(self, strata: int) -> IntArray:
        """[strata, side, cell] a view, good until the next `add`."""
        self._counts = grown(self._counts, strata)
        return self._counts[:strata]


class BinaryTable(CountTable):
    """Cell 0: value 0; cell 1: value 1. Evidence wants (n, events): see `events`."""

    def __init__(self, arms: int) -> None:
        super().__init__(arms, 2)

    def add(self, stratum: Index, side: Index, values: FloatArray) -> None:
        self.add_cells(stratum, side, values[:, 0].astype(np.int64))

    def events(self, strata: int) -> IntArray:
        """[strata, arm, 2]: n, events."""
        zero_one = self.table(strata)
        return np.stack([zero_one.sum(axis=-1), zero_one[..., 1]], axis=-1)


class HistogramTable(CountTable):
    """Cell: the value's bucket; +inf goes in the last."""

    def __init__(self, arms: int, buckets: LogBuckets) -> None:
        super().__init__(arms, buckets.count)
        self._buckets = buckets

    def add(self, stratum: Index, side: Index, values: FloatArray) -> None:
        self.add_cells(stratum, side, self._buckets.index(values[:, 0]))


class PairTable(CountTable):
    """Cells in the order 11, 10, 01, 00 of (baseline, candidate)."""

    def __init__(self, candidates: int) -> None:
        super().__init__(candidates, 4)

    def add(self, stratum: Index, side: Index, values: FloatArray) -> None:
        self.add_cells(stratum, side, (3 - 2 * values[:, 0] - values[:, 1]).astype(np.int64))


class MomentTable:
    """Moments by stratum and side: [.., 3] of one variable, or [.., 6] of two with their cross-product."""

    def __init__(self, sides: int, variables: int) -> None:
        self._moments = np.zeros((1, sides, 3 if variables == 1 else 6))

    def add(self, stratum: Index, side: Index, values: FloatArray) -> None:
        if not stratum.size:
            return
        self._moments = grown(self._moments, int(stratum.max()) + 1)
        sides = self._moments.shape[1]
        present, local = compact(stratum, self._moments.shape[0])
        cells = present.size * sides
        flat = local * sides + side
        n = np.bincount(flat, minlength=cells).astype(np.float64)
        sums = [np.bincount(flat, column, minlength=cells).astype(np.float64) for column in values.T]
        means = [np.divide(total, n, out=np.zeros(cells), where=n > 0) for total in sums]
        centred = [column - mean[flat] for column, mean in zip(values.T, means, strict=True)]
        products = [(centred[i], centred[i]) for i in range(len(centred))]
        products += [(centred[0], centred[1])] if len(centred) == 2 else []
        squares = [np.bincount(flat, a * b, minlength=cells).astype(np.float64) for a, b in products]
        added: FloatArray = np.stack([n, *means, *squares], axis=-1).reshape(present.size, sides, -1)
        self._moments[present] = add_moments(self._moments[present], added)

    def merge(self, other: Self, place: Index) -> None:
        """Add another table, whose stratum i is place[i] here."""
        if place.size:
            self._moments = grown(self._moments, int(place.max()) + 1)
            self._moments[place] = add_moments(self._moments[place], other.table(place.size))

    def table(self, strata: int) -> FloatArray:
        """[strata, side, moment] a view, good until the next `add`."""
        self._moments = grown(self._moments, strata)
        return self._moments[:strata]
