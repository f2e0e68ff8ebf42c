"""What one metric makes of observations: which value each has, and the table it is summed into."""

from __future__ import annotations

import numpy as np

from fairtrial.evidence.arrow import BoolArray, FloatArray, Index, RecordBatch, floats, not_null
from fairtrial.evidence.rows import Entries, RowLedger
from fairtrial.evidence.tables import BinaryTable, HistogramTable, MetricTable, MomentTable, PairTable
from fairtrial.evidence.tally import Tally
from fairtrial.judge.evidence import Evidence, Exclusion, add_moments
from fairtrial.judge.geometry import quantile_buckets
from fairtrial.judge.spec import Kind, MetricSpec


def is_failed(status: FloatArray) -> BoolArray:
    """A request without an answer (0, or not known), or answered by an error (400 and above)."""
    return ~((status > 0) & (status < 400))


def read_values(
    metric: MetricSpec,
    batch: RecordBatch,
    *,
    failed: BoolArray,
    arm: Index,
    tally: Tally,
) -> FloatArray:
    """[n] the metric's values, NaN where there is none to use; what is left out is counted in `tally`.

    A failed request has the worst value there is: wrong, or infinitely slow. No mean can hold an
    infinite value, so a mean covers answered requests only.
    """
    if metric.column == "error":
        return failed.astype(np.float64)
    raw = floats(batch, metric.column)
    if raw is None:
        raw = np.full(batch.num_rows, np.nan)
    if metric.kind is Kind.BINARY:
        usable = (raw == 0) | (raw == 1)
    elif metric.kind is Kind.QUANTILE or metric.column == "latency":
        usable = (raw >= 0) & (raw < np.inf)
    else:
        usable = np.isfinite(raw)
    if not usable.all():
        without = ~usable & ~failed
        given = not_null(batch, metric.column) if metric.column in batch.schema.names else failed
        tally.count_by_arm(Exclusion.UNUSABLE_VALUE, arm[without & given], metric=metric.name)
        tally.count_by_arm(Exclusion.ABSENT_VALUE, arm[without & ~given], metric=metric.name)
    if not failed.any():
        return raw if usable.all() else np.where(usable, raw, np.nan)
    if metric.kind is Kind.MEAN:
        tally.count_by_arm(Exclusion.FAILED, arm[failed], metric=metric.name)
        return np.where(usable & ~failed, raw, np.nan)
    worst = 0.0 if metric.higher_is_better else (1.0 if metric.kind is Kind.BINARY else np.inf)
    return np.where(failed, worst, np.where(usable, raw, np.nan))


class MetricSums:
    """A metric's table, and where rows count once the ledger that sees to it."""

    def __init__(self, metric: MetricSpec, arms: int) -> None:
        self.metric = metric
        self._sides = arms - 1 if metric.paired else arms
        self._free = self._new_table()
        self._once = self._new_table()
        self._ledger = RowLedger(self._sides)

    def add(self, entries: Entries, *, settle_later: bool = False) -> int:
        """Sum entries up; says how many had no row number although rows count once.

        settle_later: they come from a merge, which ends with `settle`.
        """
        if not self.metric.once_per_row:
            self._free.add(entries.stratum, entries.side, entries.values)
            return 0
        loose, known = entries[~entries.row_known], entries[entries.row_known]
        self._free.add(loose.stratum, loose.side, loose.values)
        if settle_later:
            self._ledger.append(known)
        else:
            first = self._ledger.first(known)
            self._once.add(first.stratum, first.side, first.values)
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
        self._once.add(first.stratum, first.side, first.values)

    def write(self, evidence: Evidence) -> None:
        """Put the table where `Evidence` has it; views, good until the next `add`."""
        name, size = self.metric.name, len(evidence.strata)
        match self._free, self._once:
            case BinaryTable() as free, BinaryTable() as once:
                evidence.binary[name] = free.events(size) + once.events(size)
            case HistogramTable() as free, HistogramTable():
                evidence.histograms[name] = free.table(size)
            case PairTable() as free, PairTable() as once:
                evidence.pair_tables[name] = free.table(size) + once.table(size)
            case MomentTable() as free, MomentTable() as once:
                table = add_moments(free.table(size), once.table(size))
                (evidence.pair_moments if self.metric.paired else evidence.moments)[name] = table
            case _:
                raise AssertionError("both tables of a metric are of one kind")

    def _new_table(self) -> MetricTable:
        match self.metric.kind:
            case Kind.BINARY:
                return PairTable(self._sides) if self.metric.paired else BinaryTable(self._sides)
            case Kind.MEAN:
                return MomentTable(self._sides, 2 if self.metric.paired else 1)
            case Kind.QUANTILE:
                return HistogramTable(self._sides, quantile_buckets(self.metric))
