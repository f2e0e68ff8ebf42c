"""The tables that observations are summed into, one or two a metric. All take whole columns.

Each has `add(cells, values)`: the cells of n observations, and their values [n, variables], usable numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from fairtrial.evidence.strata import Cells, Index
from fairtrial.judge.evidence import FloatArray, IntArray, add_moments
from fairtrial.stats.buckets import LogBuckets

_Number = TypeVar("_Number", np.int64, np.float64)


class MetricTable(Protocol):
    """What the builder needs of a table."""

    def add(self, cells: Cells, values: FloatArray) -> None: ...

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

    def __init__(self, sides: int, width: int) -> None:
        self._counts = np.zeros((1, sides, width), np.int64)

    def add_at(self, cells: Cells, position: Index, *, times: int = 1) -> None:
        """Count each observation so many times at its position [n] on the last axis."""
        if not cells.size:
            return
        width = self._counts.shape[-1]
        at = cells.flat * width
        at += position
        self.add_counts(cells, times * np.bincount(at, minlength=cells.count * width))

    def add_counts(self, cells: Cells, counts: IntArray) -> None:
        """Add [cells.count * width] counts."""
        if not cells.size:
            return
        self._counts = grown(self._counts, int(cells.present.max()) + 1)
        self._counts[cells.present] += counts.reshape(-1, *self._counts.shape[1:])

    def merge(self, other: Self, place: Index) -> None:
        """Add another table, whose stratum i is place[i] here."""
        if place.size:
            self._counts = grown(self._counts, int(place.max()) + 1)
            self._counts[place] += other.table(place.size)

    def table(self, strata: int) -> IntArray:
        """[strata, side, width] a view, good until the next `add`."""
        self._counts = grown(self._counts, strata)
        return self._counts[:strata]


class EventTable(CountTable):
    """Observations, and the sum of their values, which are whole numbers: 0 or 1, or counts of events."""

    def __init__(self, arms: int) -> None:
        super().__init__(arms, 2)

    def add(self, cells: Cells, values: FloatArray) -> None:
        events = np.bincount(cells.flat, values[:, 0], minlength=cells.count)
        self.add_counts(cells, np.stack([cells.counts, np.rint(events).astype(np.int64)], axis=-1))


class HistogramTable:
    """Counts by bucket; +inf goes in the last.

    Of a thousand buckets a stratum uses some tens, and of these alone the counts are kept: a long run has
    hundreds of strata, and a cluster hundreds of runs.
    """

    def __init__(self, arms: int, buckets: LogBuckets) -> None:
        self._arms = arms
        self._buckets = buckets
        self._used: list[_Used] = []  # of each stratum, over [side * buckets]

    def add(self, cells: Cells, values: FloatArray) -> None:
        if not cells.size:
            return
        width = self._buckets.count
        at = cells.flat * width + self._buckets.index(values[:, 0])
        counts = np.bincount(at, minlength=cells.count * width).reshape(cells.present.size, -1)
        for stratum, row in zip(cells.present.tolist(), counts, strict=True):
            self._add(stratum, row)

    def merge(self, other: Self, place: Index) -> None:
        """Add another table, whose stratum i is place[i] here."""
        for stratum, row in zip(place.tolist(), other.table(place.size), strict=True):
            self._add(stratum, row.ravel())

    def table(self, strata: int) -> IntArray:
        """[strata, side, bucket] a copy."""
        counts = np.zeros((strata, self._arms * self._buckets.count), np.int64)
        for row, used in zip(counts, self._used[:strata], strict=False):
            row[used.at] = used.counts
        return counts.reshape(strata, self._arms, self._buckets.count)

    def _add(self, stratum: int, row: IntArray) -> None:
        while len(self._used) <= stratum:
            self._used.append(_NOTHING)
        before = self._used[stratum]
        row[before.at] += before.counts
        at = np.flatnonzero(row)
        self._used[stratum] = _Used(_narrow(at), _narrow(row[at])) if at.size else _NOTHING


class _Used(NamedTuple):
    """The positions with a count, and what it is; in as few bytes as hold them."""

    at: npt.NDArray[np.unsignedinteger[Any]]
    counts: npt.NDArray[np.unsignedinteger[Any]]


def _narrow(numbers: IntArray) -> npt.NDArray[np.unsignedinteger[Any]]:
    return numbers.astype(np.min_scalar_type(int(numbers.max())))


_NOTHING = _Used(np.zeros(0, np.uint8), np.zeros(0, np.uint8))


class PairTable(CountTable):
    """Counts in the order 11, 10, 01, 00 of (baseline, candidate)."""

    def __init__(self, candidates: int) -> None:
        super().__init__(candidates, 4)

    def add(self, cells: Cells, values: FloatArray) -> None:
        self.add_at(cells, (3 - 2 * values[:, 0] - values[:, 1]).astype(np.int64))


class MomentTable:
    """Moments by stratum and side of 1 to 3 variables, in the order of `Evidence.joint`."""

    def __init__(self, sides: int, variables: int) -> None:
        self.variables = variables
        size = 4 if variables == 1 else 1 + variables + variables * (variables + 1) // 2
        self._moments = np.zeros((1, sides, size))

    def add(self, cells: Cells, values: FloatArray) -> None:
        if not cells.size:
            return
        self._moments = grown(self._moments, int(cells.present.max()) + 1)
        n = cells.counts.astype(np.float64)
        columns = [values[:, i] for i in range(self.variables)]
        means = [
            np.divide(np.bincount(cells.flat, column, cells.count), n, out=np.zeros(n.size), where=n > 0)
            for column in columns
        ]
        centred = [column - mean.take(cells.flat) for column, mean in zip(columns, means, strict=True)]
        pairs = [(i, i) for i in range(self.variables)]
        pairs += [(i, j) for i in range(self.variables) for j in range(i + 1, self.variables)]
        squares = [np.bincount(cells.flat, centred[i] * centred[j], cells.count) for i, j in pairs]
        if self.variables == 1:
            squares.append(np.bincount(cells.flat, centred[0] ** 3, cells.count))
        added = np.stack([n, *means, *squares], axis=-1, dtype=np.float64)
        before = self._moments[cells.present]
        self._moments[cells.present] = add_moments(before, added.reshape(before.shape))

    def merge(self, other: Self, place: Index) -> None:
        """Add another table, whose stratum i is place[i] here."""
        if place.size:
            self._moments = grown(self._moments, int(place.max()) + 1)
            self._moments[place] = add_moments(self._moments[place], other.table(place.size))

    def table(self, strata: int) -> FloatArray:
        """[strata, side, moment] a view, good until the next `add`."""
        self._moments = grown(self._moments, strata)
        return self._moments[:strata]


class CappedTable:
    """Moments with the first `capped` variables winsorised at the cap, and without."""

    def __init__(self, sides: int, variables: int, *, cap: float, capped: int = 1) -> None:
        self.within = MomentTable(sides, variables)
        self.raw = MomentTable(sides, variables)
        self._caps = np.where(np.arange(variables) < capped, cap, np.inf)

    def add(self, cells: Cells, values: FloatArray) -> None:
        self.within.add(cells, np.minimum(values, self._caps))
        self.raw.add(cells, values)

    def merge(self, other: Self, place: Index) -> None:
        """Add another table, whose stratum i is place[i] here."""
        self.within.merge(other.within, place)
        self.raw.merge(other.raw, place)
