"""Sums observations up into evidence, whole columns at a time."""

from __future__ import annotations

import numpy as np

from fairtrial.errors import UsageError
from fairtrial.evidence.arrow import (
    FloatArray,
    Index,
    RecordBatch,
    Tabular,
    hashes,
    names,
    numbers,
    positions,
    record_batches,
    rows_where,
)
from fairtrial.evidence.chunk import CHUNK, Chunk
from fairtrial.evidence.metric import MetricSums, check_tables
from fairtrial.evidence.pairs import Halves, PairJoin, Pairs
from fairtrial.evidence.reading import Reading, read
from fairtrial.evidence.rows import Entries
from fairtrial.evidence.seen import SeenKeys
from fairtrial.evidence.stored import REFERENCE
from fairtrial.evidence.strata import Cells, StratumIndex
from fairtrial.evidence.tables import CountTable, EventTable
from fairtrial.evidence.tally import Tally
from fairtrial.evidence.units import UnitBook, UnitEntries
from fairtrial.judge.evidence import Evidence, Excluded, Exclusion, IntArray, arms_of
from fairtrial.judge.geometry import check_spec, reporting_buckets
from fairtrial.judge.spec import JudgeSpec, Kind, MetricSpec

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
        for metric in spec.metrics:
            check_tables(metric)
        self._spec = spec
        self._arms = arms_of(spec)
        self._origin = origin
        self._latest: float | None = None
        self._strata = StratumIndex()
        self._ids = SeenKeys()
        self._unit_keys = SeenKeys()
        self._units: dict[str, IntArray] = {}
        self._buckets = reporting_buckets()
        self._requests = EventTable(len(self._arms))
        self._latencies = CountTable(len(self._arms), self._buckets.count)
        self._sums = [
            MetricSums(metric, len(self._arms))
            for metric in spec.metrics
            if not metric.by_unit and not _is_error_rate(metric)
        ]
        self._by_unit = [metric for metric in spec.metrics if metric.by_unit]
        self._book = UnitBook(self._by_unit, len(self._arms))
        paired = sum(metric.paired for metric in spec.metrics)
        self._joins = [PairJoin(paired) for _ in spec.candidates]
        self._tally = Tally(self._arms)
        self._reference: list[float] = []

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
            for start in range(0, batch.num_rows, CHUNK):
                self._add(batch.slice(start, CHUNK))

    def note(self, reason: Exclusion, count: int) -> None:
        """Count observations that were kept out before they came here."""
        self._tally.count(reason, count)

    @property
    def evidence(self) -> Evidence:
        """All that was added. Its arrays may be views: use it before the next `add`, and only read it."""
        size = len(self._strata.strata)
        requests = self._requests.table(size)
        excluded = self._tally.excluded.copy()
        if self._book.switched:
            excluded[Excluded(Exclusion.SWITCHED_UNIT)] = self._book.switched
        evidence = Evidence(
            arms=self._arms,
            origin=self._origin,
            latest=self._latest,
            strata=tuple(self._strata.strata),
            requests=requests[..., 0],
            errors=requests[..., 1],
            latencies=self._latencies.table(1)[0],
            units={segment: counts.copy() for segment, counts in self._units.items()},
            missing_halves=np.array(
                [(0, 0) if self._latest is None else join.missing(self._latest) for join in self._joins],
                np.int64,
            ),
            excluded=excluded,
            reference=tuple(self._reference),
            weaknesses=self._spec.weaknesses,
        )
        for sums in self._sums:
            sums.write(evidence)
        evidence.binary.update(
            {metric.name: requests.copy() for metric in self._spec.metrics if _is_error_rate(metric)}
        )
        self._book.write(evidence)
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
        self._book.merge(other._book, place)
        self._tally.excluded.update(other._tally.excluded)
        self._reference += other._reference
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

    def _add(self, batch: RecordBatch) -> None:
        chunk = self._chunk(batch)
        if not chunk.size:
            return
        assert self._origin is not None
        halves = self._halves(chunk)
        begin = self._origin + self._spec.warm_up
        warm = chunk if float(chunk.time.min()) >= begin else chunk[chunk.time >= begin]
        self._tally.count(Exclusion.WARM_UP, chunk.size - warm.size)
        if warm.size:
            self._count_requests(warm)
            for sums in self._sums:
                if not sums.metric.paired:
                    self._add_reading(sums, warm, read(sums.metric, warm, self._tally))
            if self._by_unit:
                self._add_units(warm)
        if halves is None:
            return
        arm, halves = halves
        for candidate, join in enumerate(self._joins):
            pairs, duplicates = join.add(halves[arm == 0], halves[arm == candidate + 1])
            self.note(Exclusion.DUPLICATE_HALF, duplicates)
            self._add_pairs(candidate, pairs)

    def _chunk(self, batch: RecordBatch) -> Chunk:
        """The rows with a time, a known arm, and an id that did not come before."""
        time = numbers(batch, "time").values
        if not (time.min() > -_LAST_TIME and time.max() < _LAST_TIME):
            timed = np.abs(time) < _LAST_TIME
            self.note(Exclusion.NO_TIME, int((~timed).sum()))
            batch, time = rows_where(batch, timed), time[timed]
        if self._spec.stored is not None:
            batch, time = self._without_reference(batch, time)
        arm = positions(batch, "arm", self._arms)
        if arm.size and arm.min() < 0:
            known = arm >= 0
            self.note(Exclusion.UNKNOWN_ARM, int((~known).sum()))
            batch, time, arm = rows_where(batch, known), time[known], arm[known]
        ids = hashes(batch, "id")
        if ids is not None:
            fresh = ~ids.known
            fresh[ids.known] = self._ids.add(ids.keys[ids.known])
            if not fresh.all():
                self.note(Exclusion.DUPLICATE, int((~fresh).sum()))
                batch, time, arm = rows_where(batch, fresh), time[fresh], arm[fresh]
            self._ids.release()
        return Chunk(batch, time, arm, self._cells(batch, time, arm))

    def _without_reference(self, batch: RecordBatch, time: FloatArray) -> tuple[RecordBatch, FloatArray]:
        """Timings of the machine are taken down, and are no requests."""
        timing = positions(batch, "arm", (REFERENCE,)) == 0
        if not timing.any():
            return batch, time
        self._reference += numbers(rows_where(batch, timing), "latency").values.tolist()
        return rows_where(batch, ~timing), time[~timing]

    def _cells(self, batch: RecordBatch, time: FloatArray, arm: Index) -> Cells:
        """Where each row belongs; the split's assignments are counted on the way."""
        if not time.size:
            return Cells(np.zeros(0, np.int64), arm, len(self._arms))
        earliest, latest = float(time.min()), float(time.max())
        if self._origin is None:
            self._origin = float(time[0])
        self._latest = latest if self._latest is None else max(latest, self._latest)
        segment, segments = names(batch, "segment")
        self._count_units(batch, arm, segment, segments)
        ends = np.floor((np.array([earliest, latest]) - self._origin) / self._spec.batch_seconds)
        if ends[0] == ends[1]:
            number = ends[:1].astype(np.int64)
        else:
            number = np.floor((time - self._origin) / self._spec.batch_seconds).astype(np.int64)
        return self._strata.cells(segment, segments, number, arm, len(self._arms))

    def _add_reading(self, sums: MetricSums, chunk: Chunk, reading: Reading) -> None:
        cells, values = chunk.cells, reading.values
        if sums.metric.once_per_row:
            entries = Entries(cells.stratum, cells.side, values, chunk.time, *chunk.row)
            self._add_entries(sums, entries if reading.use is None else entries[reading.use])
        elif reading.use is None:
            sums.add(cells, values)
        else:
            use = np.flatnonzero(reading.use)
            sums.add(cells[use], values[use])

    def _add_units(self, chunk: Chunk) -> None:
        known = chunk.unit.known
        place = np.cumsum(known) - 1  # among the requests of known units
        found: list[UnitEntries] = []
        for metric in self._by_unit:
            reading = read(metric, chunk, self._tally)
            if reading.use is None:
                found.append(UnitEntries(place, reading.values))
            else:
                found.append(UnitEntries(place[reading.use], reading.values[reading.use]))
        self._book.add(chunk.unit.keys[known], chunk.cells[known], chunk.time[known], found)

    def _halves(self, chunk: Chunk) -> tuple[Index, Halves] | None:
        """The halves of pairs, and the arm of each; None if there is no column `pair`."""
        pair = chunk.pair
        if pair is None:
            return None
        readings = [read(sums.metric, chunk, self._tally) for sums in self._sums if sums.metric.paired]
        columns = [
            values if use is None else np.where(use, values, np.nan)
            for values, use in ((each.values[:, 0], each.use) for each in readings)
        ]
        matrix = np.stack(columns, axis=-1) if columns else np.zeros((chunk.size, 0))
        halves = Halves(pair.keys, chunk.time, chunk.cells.stratum, *chunk.row, matrix)
        return chunk.arm[pair.known], halves[pair.known]

    def _add_pairs(self, candidate: int, pairs: Pairs, *, settle_later: bool = False) -> None:
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

    def _add_entries(self, sums: MetricSums, entries: Entries, *, settle_later: bool = False) -> None:
        loose = sums.add_entries(entries, settle_later=settle_later)
        self._tally.count(Exclusion.UNNUMBERED_ROW, loose, metric=sums.metric.name)

    def _count_requests(self, chunk: Chunk) -> None:
        cells = chunk.cells
        failed = np.bincount(cells.flat[chunk.failed], minlength=cells.count)
        self._requests.add_counts(cells, np.stack([cells.counts, failed], axis=-1))
        latency = chunk.numbers("latency").values
        hidden = chunk.failed
        if not (latency.min() >= 0 and latency.max() < np.inf):
            hidden = np.flatnonzero(chunk.has_failed | ~((latency >= 0) & (latency < np.inf)))
        position = self._buckets.index(latency)
        everything = Cells(np.zeros(1, np.int64), chunk.arm, len(self._arms))
        self._latencies.add_at(everything, position)
        self._latencies.add_at(everything[hidden], position[hidden], times=-1)

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


def _is_error_rate(metric: MetricSpec) -> bool:
    """Whether its table is that of the requests and their errors, which is there anyway."""
    plain = not (metric.paired or metric.once_per_row or metric.by_unit)
    return metric.column == "error" and metric.kind is Kind.BINARY and plain
