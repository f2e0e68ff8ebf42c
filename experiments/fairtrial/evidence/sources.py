"""Where observations come from: a run's folder, a split's access log, or a file of any common format."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from fairtrial.errors import UsageError
from fairtrial.evidence.access_log import AccessLogs, is_access_log
from fairtrial.evidence.arrow import RecordBatch, Tabular, numbers
from fairtrial.evidence.builder import REQUIRED
from fairtrial.evidence.files import empty, open_file
from fairtrial.evidence.reading import columns_of
from fairtrial.evidence.sorting import Progress, is_sorted, sorted_by_time
from fairtrial.judge.spec import JudgeSpec, MetricSpec

_PART = re.compile(r"part-(\d+)\.parquet")
#: Columns that are always read where they are there.
_KNOWN = (*REQUIRED, "id", "unit", "pair", "row", "segment")


class ObservationSource(Protocol):
    """Observations in order of intended time."""

    def batches(self) -> Iterator[RecordBatch]:
        """Record batches with the columns of an observation. Raises UsageError for what cannot be read."""
        ...

    def scan(self) -> Iterator[RecordBatch]:
        """The same rows in any order, to be read to the end: `batches` then knows theirs beforehand."""
        ...


class PartsFolder:
    """A run's folder of `part-*.parquet`: numbered in order of intended time, each written in one go."""

    def __init__(self, folder: Path, columns: Sequence[str] | None = None) -> None:
        self._folder = folder
        self._columns = columns

    def paths(self) -> list[Path]:
        """The parts that are there now, in order."""
        if not self._folder.is_dir():
            raise UsageError(f"{self._folder}: there is no such folder of observations")
        numbered = ((_PART.fullmatch(path.name), path) for path in self._folder.iterdir())
        return [path for _, path in sorted((int(match[1]), path) for match, path in numbered if match)]

    def batches(self) -> Iterator[RecordBatch]:
        """See `ObservationSource`."""
        for path in self.paths():
            yield from _stream(path, self._columns)

    def scan(self) -> Iterator[RecordBatch]:
        """See `ObservationSource`."""
        return self.batches()


class ObservationFile:
    """A file of observations: Parquet, CSV or JSON lines, by its suffix; of any size, in any order."""

    def __init__(
        self, path: Path, columns: Sequence[str] | None = None, *, progress: Progress | None = None
    ) -> None:
        """columns: those wanted beside the documented ones; all by default.

        progress: told how many rows have been sorted, if they are not in order of time.
        """
        self._path = path
        self._columns = columns
        self._progress = progress
        self._sorted: bool | None = None

    def read(self) -> Tabular:
        """The whole file as a table sorted by time, its columns in the types of an observation."""
        batches = list(self.batches())
        return pa.Table.from_batches(batches) if batches else empty(open_file(self._path).names)

    def scan(self) -> Iterator[RecordBatch]:
        """See `ObservationSource`."""
        latest, in_order = -np.inf, True
        for batch in _stream(self._path, self._columns):
            time = numbers(batch, "time").values
            in_order = in_order and is_sorted(time, latest)
            latest = max(latest, float(np.max(time, initial=-np.inf, where=np.isfinite(time))))
            yield batch
        self._sorted = in_order

    def batches(self) -> Iterator[RecordBatch]:
        """See `ObservationSource`."""
        if self._sorted is None:
            for _ in self.scan():
                pass
        rows = _stream(self._path, self._columns)
        return rows if self._sorted else sorted_by_time(rows, progress=self._progress)


def open_source(
    path: Path, columns: Sequence[str] | None = None, *, progress: Progress | None = None
) -> ObservationSource:
    """The folder or file of observations at a path. Raises UsageError if there is neither.

    columns: those wanted beside the documented ones; all by default.
    progress: told how many rows have been sorted, if they are not in order of time.
    """
    if not path.exists():
        raise UsageError(f"{path}: there is no such file")
    if is_access_log(path):
        return AccessLogs(path, progress=progress)
    if path.is_dir():
        return PartsFolder(path, columns)
    return ObservationFile(path, columns, progress=progress)


def read_part(path: Path) -> Tabular:
    """One part. Raises UsageError if it is damaged, or is not of observations."""
    batches = list(_stream(path, None))
    return pa.Table.from_batches(batches) if batches else empty(open_file(path).names)


def metric_columns(metrics: Iterable[MetricSpec]) -> tuple[str, ...]:
    """The columns that metrics are read from."""
    return tuple(dict.fromkeys(name for metric in metrics for name in columns_of(metric)))


def require_metric_columns(spec: JudgeSpec, available: Iterable[str], path: Path) -> None:
    """Raises UsageError if a metric's column is not among those of the file."""
    _require(list(available), metric_columns(spec.metrics), path)


def _require(available: list[str], wanted: Iterable[str], path: Path) -> None:
    missing = [name for name in dict.fromkeys(wanted) if name not in available]
    if missing:
        several = "s" if len(missing) > 1 else ""
        raise UsageError(
            f"{path}: column{several} {', '.join(missing)} missing; the file has {', '.join(available)}. "
            f"Observations need {', '.join(REQUIRED)}, and a column for each metric."
        )


def _stream(path: Path, columns: Sequence[str] | None) -> Iterator[RecordBatch]:
    opened = open_file(path, encoded=columns is not None)
    _require(opened.names, REQUIRED, path)
    wanted = None if columns is None else {*_KNOWN, *columns}
    return opened.batches([name for name in opened.names if wanted is None or name in wanted])
