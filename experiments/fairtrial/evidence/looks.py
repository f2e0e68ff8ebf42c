"""Cuts a stream of observations into looks, the same way however the stream arrives.

A look covers one interval of a grid of intended time, which begins at the first observation. It is
complete once an observation of a later interval has come, or the stream has ended. Empty intervals are
no looks, so that a gap (the run was killed, and resumed minutes later) means nothing; and a run's duration
is its looks times the interval: load, not time on the clock.

What is yielded depends on the order of observations alone, not on how they were cut into batches: even
sums of floating-point numbers come out the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fairtrial.evidence.arrow import (
    FloatArray,
    Index,
    RecordBatch,
    Tabular,
    floats,
    joined,
    record_batches,
    rows_where,
)
from fairtrial.judge.geometry import most_looks
from fairtrial.judge.spec import JudgeSpec

#: Rows of a block: large enough for whole columns to pay, small enough for the processor's cache.
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Block:
    """The next observations of the look under way."""

    observations: RecordBatch
    late: int = 0  # left out: their look was over when they came, so that the clock had gone backwards


@dataclass(frozen=True)
class Look:
    """All blocks of this look have been yielded."""

    number: int  # from 1
    elapsed: float  # seconds of intended time under load
    last: bool  # nothing later will be looked at


class LookCutter:
    """Feed it batches in order; then close it. What comes out is blocks, and looks between them."""

    def __init__(self, spec: JudgeSpec) -> None:
        self._interval = spec.look_interval
        self._most = most_looks(spec)
        self._start: float | None = None
        self._interval_now = 0
        self._number = 0
        self._waiting: list[RecordBatch] = []
        self._waiting_rows = 0
        self._late = 0
        self._any = False  # in the look under way
        self._closed = False

    @property
    def done(self) -> bool:
        """Whether the last look has been yielded: nothing more will come out."""
        return self._closed or self._number >= self._most

    def feed(self, observations: Tabular) -> Iterator[Block | Look]:
        """Take a record batch or a table. It must have a column `time`, or nothing of it is late."""
        for batch in record_batches(observations):
            yield from self._feed(batch)

    def close(self) -> Iterator[Block | Look]:
        """The stream has ended: the look under way is complete, and the last."""
        if self._any and not self.done:
            yield from self._flush()
            yield self._look(last=True)
        self._closed = True

    def _feed(self, batch: RecordBatch) -> Iterator[Block | Look]:
        time = floats(batch, "time")
        if time is None:
            time = np.full(batch.num_rows, np.nan)
        if self._within(time):
            yield from self._take(batch)
            return
        interval, running = self._intervals(time)
        cuts = [0, *(np.flatnonzero(np.diff(running)) + 1).tolist(), batch.num_rows]
        for start, stop in pairwise(cuts):
            if self.done:
                return
            now = int(running[start])
            if now > self._interval_now:
                if self._any:
                    yield from self._flush()
                    yield self._look(last=False)
                self._interval_now = now
                if self.done:
                    return
            on_time = interval[start:stop] == now
            self._late += int((~on_time).sum())
            self._any = True
            yield from self._take(rows_where(batch.slice(start, stop - start), on_time))

    def _within(self, time: FloatArray) -> bool:
        """Whether all of it belongs to the look under way, as most batches do; seen from the ends alone."""
        if self._start is None or not self._any or self.done:
            return False
        ends = (np.array([time.min(), time.max()]) - self._start) / self._interval
        return bool(np.all(np.abs(ends) < 1e11) and np.all(np.floor(ends) == self._interval_now))

    def _intervals(self, time: FloatArray) -> tuple[Index, Index]:
        """Of each observation, its interval of the grid, and the latest begun so far."""
        timed = np.abs(time) < 1e11
        if self._start is None and timed.any():
            self._start = float(time[timed][0])
        since = np.where(timed, time, -np.inf) - (self._start or 0.0)
        interval = np.floor(np.maximum(since, -1e11) / self._interval).astype(np.int64)
        running = np.maximum.accumulate(np.maximum(interval, self._interval_now))
        # One without a usable time is not late: it goes where it came, for the builder to count.
        return np.where(timed, interval, running), running

    def _take(self, batch: RecordBatch) -> Iterator[Block]:
        while self._waiting_rows + batch.num_rows >= _BLOCK:
            room = _BLOCK - self._waiting_rows
            self._waiting.append(batch.slice(0, room))
            self._waiting_rows = _BLOCK
            yield from self._flush()
            batch = batch.slice(room)
        if batch.num_rows:
            self._waiting.append(batch)
            self._waiting_rows += batch.num_rows

    def _flush(self) -> Iterator[Block]:
        waiting, self._waiting, self._waiting_rows = self._waiting, [], 0
        if waiting:
            late, self._late = self._late, 0
            yield Block(joined(waiting), late)

    def _look(self, *, last: bool) -> Look:
        self._any = False
        self._number += 1
        return Look(self._number, self._number * self._interval, last or self.done)
