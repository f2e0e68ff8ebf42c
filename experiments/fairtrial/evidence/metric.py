"""The tables of one metric, and where rows count once the ledger that sees to it."""

from __future__ import annotations

from fairtrial.evidence.arrow import Index
from fairtrial.evidence.rows import Entries, RowLedger
from fairtrial.evidence.strata import Cells
from fairtrial.evidence.tables import (
    CappedTable,
    EventTable,
    HistogramTable,
    MetricTable,
    MomentTable,
    PairTable,
)
from fairtrial.judge.evidence import Evidence, FloatArray, add_moments
from fairtrial.judge.geometry import quantile_buckets
from fairtrial.judge.spec import Kind, MetricSpec


class MetricSums:
    """Sums of a metric whose observations are requests or pairs."""

    def __init__(self, metric: MetricSpec, arms: int) -> None:
        self.metric = metric
        self._sides = arms - 1 if metric.paired else arms
        self._free = self._new_table()
        self._once = self._new_table()
        self._ledger = RowLedger(self._sides)

    def add(self, cells: Cells, values: FloatArray) -> None:
        """Sum up values each of which counts."""
        self._free.add(cells, values)

    def add_entries(self, entries: Entries, *, settle_later: bool = False) -> int:
        """Sum entries up; says how many had no row number although rows count once.

        settle_later: they come from a merge, which ends with `settle`.
        """
        if not self.metric.once_per_row:
            self._add_to(self._free, entries)
            return 0
        loose, known = entries[~entries.row_known], entries[entries.row_known]
        self._add_to(self._free, loose)
        if settle_later:
            self._ledger.append(known)
        else:
            self._add_to(self._once, self._ledger.first(known))
        return loose.time.size

    def merge(self, other: MetricSums, place: Index) -> None:
        """Add another metric's sums, whose stratum i is place[i] here; call `settle` when all is in."""
        self._free.merge(other._free, place)
        self._ledger.merge(other._ledger, place)

    def settle(self) -> None:
        """After a merge: of rows that both had, only the first in time counts."""
        if self._ledger.empty:
            return
        first = self._ledger.settle()
        self._once = self._new_table()
        self._add_to(self._once, first)

    def write(self, evidence: Evidence) -> None:
        """Put the tables where `Evidence` has them; they may be views, good until the next `add`."""
        name, size = self.metric.name, len(evidence.strata)
        match self._free, self._once:
            case EventTable() as free, EventTable() as once:
                group = evidence.counts if self.metric.kind is Kind.COUNT else evidence.binary
                group[name] = free.table(size) + once.table(size)
            case HistogramTable() as free, HistogramTable():
                evidence.histograms[name] = free.table(size)
            case PairTable() as free, PairTable() as once:
                evidence.pair_tables[name] = free.table(size) + once.table(size)
            case MomentTable() as free, MomentTable() as once:
                self._write_moments(evidence, _sum(free, once, size))
            case CappedTable() as free, CappedTable() as once:
                self._write_moments(evidence, _sum(free.within, once.within, size))
                evidence.uncapped[name] = _sum(free.raw, once.raw, size)
            case _:
                raise AssertionError("both tables of a metric are of one kind")

    def _write_moments(self, evidence: Evidence, table: FloatArray) -> None:
        name, metric = self.metric.name, self.metric
        if metric.paired:
            evidence.pair_moments[name] = table
        elif metric.kind is Kind.RATIO or metric.covariate is not None:
            evidence.joint[name] = table
        else:
            evidence.moments[name] = table

    def _add_to(self, table: MetricTable, entries: Entries) -> None:
        table.add(Cells.of(entries.stratum, entries.side, self._sides), entries.values)

    def _new_table(self) -> MetricTable:
        metric, sides = self.metric, self._sides
        match metric.kind:
            case Kind.BINARY:
                return PairTable(sides) if metric.paired else EventTable(sides)
            case Kind.COUNT:
                return EventTable(sides)
            case Kind.QUANTILE:
                return HistogramTable(sides, quantile_buckets(metric))
            case Kind.MEAN | Kind.RATIO:
                variables = 2 if metric.paired else variables_of(metric)
                if metric.cap is None:
                    return MomentTable(sides, variables)
                return CappedTable(sides, variables, cap=metric.cap, capped=2 if metric.paired else 1)


def variables_of(metric: MetricSpec) -> int:
    """Number of values that a request has: numerator, denominator of a ratio, covariate."""
    return 1 + (metric.denominator is not None) + (metric.covariate is not None)


def check_tables(metric: MetricSpec) -> None:
    """Raises ValueError for what has no table of pairs, or cannot be counted both by row and by unit."""
    if metric.paired and metric.kind not in (Kind.BINARY, Kind.MEAN):
        raise ValueError(f"metric {metric.name}: only proportions and means are compared by pair")
    if metric.by_unit and (metric.paired or metric.once_per_row):
        raise ValueError(f"metric {metric.name}: units are compared over all requests, not by pair or row")
    if metric.by_unit and metric.kind is Kind.QUANTILE:
        raise ValueError(f"metric {metric.name}: quantiles are of requests, not of units")
    if metric.kind is Kind.RATIO and metric.denominator is None:
        raise ValueError(f"metric {metric.name} needs a denominator")


def _sum(free: MomentTable, once: MomentTable, size: int) -> FloatArray:
    return add_moments(free.table(size), once.table(size))
