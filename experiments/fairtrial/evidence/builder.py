"""Sums observations up into evidence, whole columns at a time."""

from __future__ import annotations

import numpy as np

from fairtrial.errors import UsageError
from fairtrial.evidence.arrow import (
    BoolArray,
    FloatArray,
    Index,
    Numbered,
    RecordBatch,
    Tabular,
    floats,
    hashes,
    names,
    positions,
    record_batches,
    rows_where,
    whole_numbers,
)
from fairtrial.evidence.metric import MetricSums, is_failed, read_values
from fairtrial.evidence.pairs import Halves, PairJoin, Pairs
from fairtrial.evidence.rows import Entries
from fairtrial.evidence.seen import SeenKeys
from fairtrial.evidence.strata import StratumIndex
from fairtrial.evidence.tables import CountTable
from fairtrial.evidence.tally import Tally
from fairtrial.judge.evidence import Evidence, Exclusion, IntArray, arms_of
from fairtrial.judge.geometry import check_spec, reporting_buckets
from fairtrial.judge.spec import JudgeSpec

REQUIRED = ("arm", "time", "latency", "status")
#: Times beyond this are not seconds since the epoch, whatever they are (milliseconds, say).
_LAST_TIME = 1e11


class EvidenceBuilder:
    """Takes observations in the order of the stream; "first" means first in it."""

    def __init__(self, spec: JudgeSpec, *, origin: float | None = None) -> None:
        """origin: time of batch 0, the first time seen by default; builders to be merged need the same.

        Raises ValueError if the spec cannot be judged.
        """
        check_spec(spec)
        self._spec = spec
        self._arms = arms_of(spec)
        self._origin = origin
        self._latest: float | None = None
        self._strata = StratumIndex()
        self._ids = SeenKeys()
        self._unit_keys = SeenKeys()
        self._units: dict[str, IntArray] = {}
        self._buckets = reporting_buckets()
        self._requests = CountTable(len(self._arms), 2)
        self._latencies = CountTable(len(self._arms), self._buckets.count)
        self._sums = [MetricSums(metric, len(self._arms)) for metric in spec.metrics]
        paired = sum(metric.paired for metric in spec.metrics)
        self._joins = [PairJoin(paired) for _ in spec.candidates]
        self._tally = Tally(self._arms)

    def add(self, observations: Tabular) -> None:
        """Sum up a record batch or a table with the columns of an observation.

        Raises UsageError if a required column is missing.
        """
        for batch in record_batches(observations):
            missing = [name for name in REQUIRED if name not in batch.schema.names]
            if missing:
                raise UsageError(
                    f"the observations have no column {missing[0]}; they have {', '.join(batch.schema.names)}"
                )
            kept, arm = self._usable(batch)
            if kept.num_rows:
                self._add(kept, arm)

    def note(self, reason: Exclusion, count: int) -> None:
        """Count observations that were kept out before they came here."""
        self._tally.count(reason, count)

    @property
    def evidence(self) -> Evidence:
        """All that was added. Its arrays may be views: use it before the next `add`, and only read it."""
        size = len(self._strata.strata)
        requests = self._requests.table(size)
        evidence = Evidence(
            arms=self._arms,
            origin=self._origin,
            latest=self._latest,
            strata=tuple(self._strata.strata),
            requests=requests.sum(axis=-1),
            errors=requests[..., 1],
            latencies=self._latencies.table(1)[0],
            units={segment: counts.copy() for segment, counts in self._units.items()},
            missing_halves=np.array(
                [(0, 0) if self._latest is None else join.missing(self._latest) for join in self._joins],
                np.int64,
            ),
            excluded=self._tally.excluded.copy(),
        )
        for sums in self._sums:
            sums.write(evidence)
        return evidence

    def merge(self, other: EvidenceBuilder) -> None:
        """Add what another builder has seen: a later part of the stream, or another worker's.

        Rows and pairs that both have seen come out as if one builder had seen all. Observations with the
        same id are recognised within one builder only.
        Raises ValueError if the specs or the origins differ.
        """
        origins = {builder._origin for builder in (self, other)} - {None}
        if other._spec != self._spec or len(origins) > 1:
            raise ValueError("builders with different specs or origins cannot be merged")
        self._origin = next(iter(origins), None)
        if other._latest is not None:
            self._latest = max(other._latest, self._latest if self._latest is not None else other._latest)
        place = np.array([self._strata.place(stratum) for stratum in other._strata.strata], np.int64)
        self._requests.merge(other._requests, place)
        self._latencies.merge(other._latencies, np.zeros(1, np.int64))
        for segment, counts in other._units.items():
            self._units[segment] = self._units.get(segment, 0) + counts
        self._tally.excluded.update(other._tally.excluded)
        self._ids.update(other._ids)
        self._unit_keys.update(other._unit_keys)
        for mine, theirs in zip(self._sums, other._sums, strict=True):
            mine.merge(theirs, place)
        for candidate, (mine, theirs) in enumerate(zip(self._joins, other._joins, strict=True)):
            pairs, duplicates = mine.merge(theirs, place)
            self.note(Exclusion.DUPLICATE_HALF, duplicates)
            self._add_pairs(candidate, pairs, settle_later=True)
        for mine in self._sums:
            mine.settle()

    def _usable(self, batch: RecordBatch) -> tuple[RecordBatch, Index]:
        """The rows with a time, a known arm, and an id that did not come before; and their arms."""
        timed = np.abs(_column(batch, "time")) < _LAST_TIME
        self.note(Exclusion.NO_TIME, int((~timed).sum()))
        batch = rows_where(batch, timed)
        arm = positions(batch, "arm", self._arms)
        known = arm >= 0
        self.note(Exclusion.UNKNOWN_ARM, int((~known).sum()))
        batch, arm = rows_where(batch, known), arm[known]
        ids = hashes(batch, "id")
        if ids is None:
            return batch, arm
        fresh = ~ids.known
        fresh[ids.known] = self._ids.add(ids.keys[ids.known])
        self.note(Exclusion.DUPLICATE, int((~fresh).sum()))
        return rows_where(batch, fresh), arm[fresh]

    def _add(self, batch: RecordBatch, arm: Index) -> None:
        size = batch.num_rows
        time = _column(batch, "time")
        failed = is_failed(_column(batch, "status"))
        segment, segments = names(batch, "segment")
        if self._origin is None:
            self._origin = float(time[0])
        self._latest = max(float(time.max()), self._latest if self._latest is not None else -np.inf)
        number = np.floor((time - self._origin) / self._spec.batch_seconds).astype(np.int64)
        stratum = self._strata.places(segment, segments, number)
        warm = time >= self._origin + self._spec.warm_up
        self.note(Exclusion.WARM_UP, int((~warm).sum()))
        self._count_units(batch, arm, segment, segments)
        self._count_requests(batch, stratum, arm, failed, warm)

        row, row_known = whole_numbers(batch, "row") or _unknown(size)
        paired_values: list[FloatArray] = []
        for sums in self._sums:
            values = read_values(sums.metric, batch, failed=failed, arm=arm, tally=self._tally)
            if sums.metric.paired:
                paired_values.append(values)
                continue
            entries = Entries(stratum, arm, values[:, None], time, row, row_known)
            use = warm & ~np.isnan(values)
            self._add_entries(sums, entries if use.all() else entries[use], settle_later=False)

        pair = whole_numbers(batch, "pair")
        if pair is None:
            return
        matrix = np.stack(paired_values, axis=-1) if paired_values else np.zeros((size, 0))
        halves = Halves(pair.keys, time, stratum, row, row_known, matrix)
        base = halves[pair.known & (arm == 0)]
        for candidate, join in enumerate(self._joins):
            pairs, duplicates = join.add(base, halves[pair.known & (arm == candidate + 1)])
            self.note(Exclusion.DUPLICATE_HALF, duplicates)
            self._add_pairs(candidate, pairs, settle_later=False)

    def _add_pairs(self, candidate: int, pairs: Pairs, *, settle_later: bool) -> None:
        if self._origin is None or not pairs.time.size:
            return
        warm = pairs.began >= self._origin + self._spec.warm_up
        side = np.full(pairs.time.size, candidate, np.int64)
        paired = (sums for sums in self._sums if sums.metric.paired)
        for column, sums in enumerate(paired):
            values = np.stack([half.values[:, column] for half in (pairs.baseline, pairs.candidate)], axis=-1)
            entries = Entries(
                pairs.stratum, side, values, pairs.time, pairs.baseline.row, pairs.baseline.row_known
            )
            use = warm & ~np.isnan(values).any(axis=-1)
            self._add_entries(sums, entries[use], settle_later=settle_later)

    def _add_entries(self, sums: MetricSums, entries: Entries, *, settle_later: bool) -> None:
        loose = sums.add(entries, settle_later=settle_later)
        self._tally.count(Exclusion.UNNUMBERED_ROW, loose, metric=sums.metric.name)

    def _count_requests(
        self, batch: RecordBatch, stratum: Index, arm: Index, failed: BoolArray, warm: BoolArray
    ) -> None:
        self._requests.add_cells(stratum[warm], arm[warm], failed[warm].astype(np.int64))
        latency = _column(batch, "latency")
        shown = warm & ~failed & (latency >= 0) & (latency < np.inf)
        self._latencies.add_cells(
            np.zeros(int(shown.sum()), np.int64), arm[shown], self._buckets.index(latency[shown])
        )

    def _count_units(
        self, batch: RecordBatch, arm: Index, segment: Index, segments: list[str | None]
    ) -> None:
        """What the split assigned: each unit where it was first seen, each request where no unit is known."""
        if len(segments) == 1:
            return
        split = segment < len(segments) - 1
        units = hashes(batch, "unit")
        if units is not None:
            known = split & units.known
            split = split & ~units.known
            split[known] = self._unit_keys.add(units.keys[known])
        for code, name in enumerate(segments):
            if name is not None:
                counts = np.bincount(arm[split & (segment == code)], minlength=len(self._arms))
                self._units[name] = self._units.get(name, 0) + counts


def _column(batch: RecordBatch, name: str) -> FloatArray:
    values = floats(batch, name)
    return values if values is not None else np.full(batch.num_rows, np.nan)


def _unknown(size: int) -> Numbered:
    return Numbered(np.zeros(size, np.uint64), np.zeros(size, np.bool_))
