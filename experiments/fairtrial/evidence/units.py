"""Sums by unit of randomisation: a user's requests are added up, and users are compared.

What is known of a unit is kept by arm, so that two books can be merged exactly: when it was first seen
there, in which stratum, and its sums. Only the arm on which it was seen first counts. The tables are kept
up to date by differences: what a unit was is taken out, and what it has become is put in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairtrial.evidence.arrow import BoolArray, FloatArray, Index
from fairtrial.evidence.keys import Keys, KeyTable
from fairtrial.evidence.metric import variables_of
from fairtrial.evidence.spill import LIMIT, GrowingArray
from fairtrial.evidence.strata import Cells
from fairtrial.evidence.unit_table import UnitTable
from fairtrial.judge.evidence import Evidence
from fairtrial.judge.spec import Kind, MetricSpec

#: Of each unit and arm: 1 + stratum (0: not seen), and the time when it was first seen.
_STRATUM, _TIME, _OWN = 0, 1, 2
_BLOCK = 1 << 15
#: Requests after which pages on disk are let go of.
_RELEASE_EVERY = 1 << 20


@dataclass(frozen=True)
class UnitEntries:
    """What one metric found: `at` [m] says of which of the requests the `values` [m, variables] are."""

    at: Index
    values: FloatArray


class _Columns:
    """Where a metric's sums are among those of a unit and arm."""

    def __init__(self, metric: MetricSpec, start: int) -> None:
        self.metric = metric
        self.requests = start
        self.sums = start + 1  # numerator, and denominator if it has one
        self.raw = self.sums + 1 + (metric.denominator is not None)  # the numerator without the cap
        self.covariate = self.raw + (metric.cap is not None)  # the value, and when it was first known
        self.stop = self.covariate + 2 * (metric.covariate is not None)
        self.inputs = variables_of(metric) - (metric.covariate is not None)
        self.variables = [self.sums, self.sums + 1 if metric.denominator is not None else self.requests]
        if metric.covariate is not None:
            self.variables.append(self.covariate)


class UnitBook:
    """The sums by unit of all the metrics that are by unit."""

    def __init__(self, metrics: Sequence[MetricSpec], arms: int, *, limit: int = LIMIT) -> None:
        """limit: bytes from which a part of it is on disk."""
        self._arms = arms
        self._columns: list[_Columns] = []
        width = _OWN
        for metric in metrics:
            self._columns.append(_Columns(metric, width))
            width = self._columns[-1].stop
        self._width = width
        self._table = KeyTable(limit=limit)
        self._state = GrowingArray(np.float64, (arms, width), limit=limit)
        self._tables = [_tables_of(columns, arms) for columns in self._columns]
        self._since_release = 0
        self.switched = 0  # units seen on more than one arm

    def add(self, unit: Keys, cells: Cells, time: FloatArray, found: Sequence[UnitEntries]) -> None:
        """Add requests [n] of known units; `found` has what each metric finds in them."""
        if not unit.size:
            return
        number = self._table.number(unit).number
        self._state.reserve(self._table.size)
        units, at = np.unique(number, return_inverse=True)
        old = self._state.array[units]
        new = old.copy().reshape(-1, self._width)  # a row for each unit and arm
        slot = at * self._arms + cells.side
        stratum = cells.stratum.astype(np.float64) + 1
        _keep_first(new, new[:, _STRATUM] > 0, slot, time, stratum, (_STRATUM, _TIME))
        for columns, entries in zip(self._columns, found, strict=True):
            _add_sums(new, columns, slot[entries.at], time[entries.at], entries.values)
        self._put(units, old, new.reshape(old.shape))
        self._since_release += unit.size
        if self._since_release >= _RELEASE_EVERY:
            self.release()

    def merge(self, other: UnitBook, place: Index) -> None:
        """Add another book, whose stratum i is place[i] here."""
        renamed = np.append(0.0, place + 1.0)
        for keys, numbers in other._table.items():
            if not keys.size:
                continue
            theirs = other._state.array[numbers]
            theirs[..., _STRATUM] = renamed[theirs[..., _STRATUM].astype(np.int64)]
            units = self._table.number(keys).number
            self._state.reserve(self._table.size)
            old = self._state.array[units]
            new = old.copy()
            _take_earlier(new, theirs, _STRATUM, (_STRATUM, _TIME))
            for columns in self._columns:
                if columns.metric.covariate is not None:
                    _take_earlier(new, theirs, columns.requests, (columns.covariate, columns.covariate + 1))
                new[..., columns.requests : columns.covariate] += theirs[
                    ..., columns.requests : columns.covariate
                ]
            self._put(units, old, new)
        self.release()

    def write(self, evidence: Evidence) -> None:
        """Put the tables where `Evidence` has them."""
        size = len(evidence.strata)
        for columns, (table, raw) in zip(self._columns, self._tables, strict=True):
            name = columns.metric.name
            evidence.joint[name] = table.moments(size)
            if columns.metric.kind is Kind.COUNT:
                evidence.counts[name] = table.totals(size)
            if raw is not None:
                evidence.uncapped[name] = raw.moments(size)

    def release(self) -> None:
        """Let go of the pages in memory of what is on disk."""
        self._since_release = 0
        self._table.release()
        self._state.release()

    def _put(self, units: Index, old: FloatArray, new: FloatArray) -> None:
        self._state.array[units] = new
        self.switched += int((_arms_seen(new) > 1).sum()) - int((_arms_seen(old) > 1).sum())
        before, after = _first_arm(old), _first_arm(new)
        every = np.arange(units.size)
        was, now = old[every, before], new[every, after]
        was_at, now_at = was[:, _STRATUM].astype(np.int64) - 1, now[:, _STRATUM].astype(np.int64) - 1
        for columns, tables in zip(self._columns, self._tables, strict=True):
            counted, counts = was[:, columns.requests] > 0, now[:, columns.requests] > 0
            variables = columns.variables
            for table in tables:
                if table is None:
                    continue
                table.replace(
                    (was_at, before, was[:, variables], counted), (now_at, after, now[:, variables], counts)
                )
                variables = [columns.raw, *columns.variables[1:]]


def _tables_of(columns: _Columns, arms: int) -> tuple[UnitTable, UnitTable | None]:
    size = len(columns.variables)
    return UnitTable(arms, size), UnitTable(arms, size) if columns.metric.cap is not None else None


def _arms_seen(state: FloatArray) -> Index:
    return np.count_nonzero(state[..., _STRATUM], axis=-1)


def _first_arm(state: FloatArray) -> Index:
    """[units] the arm on which each was seen first; of arms at the same time, the first in order."""
    seen = state[..., _STRATUM] > 0
    return np.argmin(np.where(seen, state[..., _TIME], np.inf), axis=-1)


def _add_sums(
    state: FloatArray, columns: _Columns, slot: Index, time: FloatArray, values: FloatArray
) -> None:
    """Add values [m, variables] to the slots [m] of `state` [slots, width]."""
    slots, metric = state.shape[0], columns.metric
    if metric.covariate is not None:
        known = state[:, columns.requests] > 0
        _keep_first(state, known, slot, time, values[:, -1], (columns.covariate, columns.covariate + 1))
    state[:, columns.requests] += np.bincount(slot, minlength=slots)
    for i in range(columns.inputs):
        value = np.minimum(values[:, i], metric.cap) if i == 0 and metric.cap is not None else values[:, i]
        state[:, columns.sums + i] += np.bincount(slot, value, slots)
    if metric.cap is not None:
        state[:, columns.raw] += np.bincount(slot, values[:, 0], slots)


def _keep_first(
    state: FloatArray,
    known: BoolArray,
    slot: Index,
    time: FloatArray,
    value: FloatArray,
    columns: tuple[int, int],
) -> None:
    """Of each slot, the value at the earliest time, here and, where `known`, before. Columns: value, time."""
    if not time.size:
        return
    order = np.argsort(time, kind="stable")[::-1]
    first = np.full(state.shape[0], -1, np.int64)
    first[slot[order]] = order
    which = np.flatnonzero((first >= 0) & ~(known & (state[:, columns[1]] <= time[first])))
    state[which, columns[0]] = value[first[which]]
    state[which, columns[1]] = time[first[which]]


def _take_earlier(mine: FloatArray, theirs: FloatArray, known: int, columns: tuple[int, int]) -> None:
    """Take over a value and its time where theirs is earlier; `known` is above 0 where there is one."""
    has, other = mine[..., known] > 0, theirs[..., known] > 0
    take = other & (~has | (theirs[..., columns[1]] < mine[..., columns[1]]))
    for column in columns:
        mine[..., column] = np.where(take, theirs[..., column], mine[..., column])
