"""Sorts observations by time in bounded memory: sorted runs on disk, merged.

Observations of the same time stay in the order in which they came; those without a time come last.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fairtrial.errors import UsageError
from fairtrial.evidence.arrow import FloatArray, RecordBatch, numbers

#: Rows of a run, which are in memory while they are sorted.
RUN_ROWS = 1 << 19
#: Rows that are read of each run at a time.
_BLOCK_ROWS = 1 << 13
#: Runs that are merged at a time, so that only so many blocks are in memory.
_RUNS = 64

#: Told the number of rows that have been sorted so far.
Progress = Callable[[int], None]


def is_sorted(time: FloatArray, after: float) -> bool:
    """Whether times [n] do not decrease and none is before `after`; unusable ones do not matter."""
    if time.size and np.isfinite(time.min()) and np.isfinite(time.max()):
        return bool(time[0] >= after and np.all(time[1:] >= time[:-1]))
    usable = time[np.isfinite(time)]
    return not usable.size or bool(usable[0] >= after and np.all(usable[1:] >= usable[:-1]))


def sorted_by_time(
    batches: Iterable[RecordBatch], *, progress: Progress | None = None, run_rows: int = RUN_ROWS
) -> Iterator[RecordBatch]:
    """The same rows in order of time. Raises UsageError if there is no room for the runs on disk."""
    with tempfile.TemporaryDirectory(prefix="fairtrial-sort-", ignore_cleanup_errors=True) as name:
        runs = _Runs(Path(name))
        try:
            done = 0
            for rows in _gathered(batches, run_rows):
                runs.add(_in_order(rows))
                done += rows.num_rows
                if progress is not None:
                    progress(done)
            yield from runs.merged()
        except OSError as error:
            raise UsageError(
                f"there is no room to sort the observations by time in {tempfile.gettempdir()} "
                f"({error.strerror or error}); set TMPDIR to a directory that has it, or sort them beforehand"
            ) from error


class _Runs:
    """Sorted runs on disk. When there are many of about the same size, they are merged into a longer one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._levels: list[list[Path]] = [[]]  # the longest and earliest are at the end
        self._written = 0

    def add(self, rows: Any) -> None:
        self._put(0, rows.to_batches(max_chunksize=_BLOCK_ROWS), rows.schema)

    def merged(self) -> Iterator[RecordBatch]:
        paths = [path for level in reversed(self._levels) for path in level]
        return _merge([_read(path) for path in paths])

    def _put(self, level: int, batches: Iterable[RecordBatch], schema: Any) -> None:
        path = self._folder / f"{self._written}.arrow"
        self._written += 1
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        if level == len(self._levels):
            self._levels.append([])
        self._levels[level].append(path)
        if len(self._levels[level]) == _RUNS:
            full, self._levels[level] = self._levels[level], []
            self._put(level + 1, _merge([_read(each) for each in full]), schema)
            for each in full:
                each.unlink()


def _gathered(batches: Iterable[RecordBatch], rows: int) -> Iterator[Any]:
    """Tables of at least so many rows, but for the last."""
    waiting: list[RecordBatch] = []
    size = 0
    for batch in batches:
        waiting.append(_plain(batch))
        size += batch.num_rows
        if size >= rows:
            yield pa.Table.from_batches(waiting)
            waiting, size = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def _plain(batch: RecordBatch) -> RecordBatch:
    """Without dictionaries, which differ from batch to batch."""
    for at, name in enumerate(batch.schema.names):
        if pa.types.is_dictionary(batch.column(at).type):
            batch = batch.set_column(at, name, batch.column(at).cast(pa.string()))
    return batch


def _in_order(table: Any) -> Any:
    return table.take(np.argsort(_keys(table), kind="stable"))


def _keys(rows: Any) -> FloatArray:
    time = np.concatenate([numbers(batch, "time").values for batch in rows.to_batches()])
    return np.where(np.isfinite(time), time, np.inf)


def _read(path: Path) -> Iterator[RecordBatch]:
    with pa.OSFile(str(path), "rb") as source, pa.ipc.open_stream(source) as reader:
        yield from reader


def _merge(runs: list[Iterator[RecordBatch]]) -> Iterator[RecordBatch]:
    """Merge sorted runs. What is safe to pass on is up to the earliest end of the blocks in memory."""
    blocks: dict[int, tuple[Any, FloatArray]] = {}

    def refill(run: int) -> None:
        batch = next(runs[run], None)
        if batch is None:
            blocks.pop(run, None)
        else:
            table = pa.Table.from_batches([batch])
            blocks[run] = table, _keys(table)

    for run in range(len(runs)):
        refill(run)
    while blocks:
        end, last = min((keys[-1], run) for run, (_, keys) in blocks.items())
        ready: list[Any] = []
        for run in sorted(blocks):
            table, keys = blocks[run]
            # Of the same time, what is in an earlier run came earlier.
            cut = int(np.searchsorted(keys, end, side="right" if run <= last else "left"))
            ready.append(table.slice(0, cut))
            if cut == table.num_rows:
                refill(run)
            else:
                blocks[run] = table.slice(cut), keys[cut:]
        yield from _in_order(pa.concat_tables(ready)).combine_chunks().to_batches()
