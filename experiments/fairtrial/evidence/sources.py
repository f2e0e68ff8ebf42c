"""Where observations come from: the parts of a run's folder, or a file of any common format."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from fairtrial.errors import UsageError
from fairtrial.evidence.arrow import RecordBatch, Tabular, as_floats, record_batches
from fairtrial.evidence.builder import REQUIRED
from fairtrial.judge.spec import JudgeSpec

_PART = re.compile(r"part-(\d+)\.parquet")
_TEXT = ("arm", "id", "unit", "segment", "prediction")
_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(_TEXT, pa.string()),
    **dict.fromkeys(("status", "pair", "row"), pa.int64()),
    **dict.fromkeys(("time", "latency", "sent", "score", "absoluteError", "squaredError"), pa.float64()),
}


class ObservationSource(Protocol):
    """Observations in order of intended time."""

    def batches(self) -> Iterator[RecordBatch]:
        """Record batches with the columns of an observation. Raises UsageError for what cannot be read."""
        ...


class PartsFolder:
    """A run's folder of `part-*.parquet`: numbered in order of intended time, each written in one go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def paths(self) -> list[Path]:
        """The parts that are there now, in order."""
        if not self._folder.is_dir():
            raise UsageError(f"{self._folder}: there is no such folder of observations")
        numbered = ((_PART.fullmatch(path.name), path) for path in self._folder.iterdir())
        return [path for _, path in sorted((int(match[1]), path) for match, path in numbered if match)]

    def batches(self) -> Iterator[RecordBatch]:
        """See `ObservationSource`."""
        for path in self.paths():
            yield from record_batches(read_part(path))


class ObservationFile:
    """A file of observations: Parquet, CSV or JSON lines, by its suffix. It is sorted by time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Tabular:
        """The whole file as a table sorted by time, its columns in the types of an observation."""
        table = _normalised(_read(self._path), self._path)
        _require(table.schema.names, REQUIRED, self._path)
        time = as_floats(table.column("time"))
        return table if np.all(time[1:] >= time[:-1]) else table.take(np.argsort(time, kind="stable"))

    def batches(self) -> Iterator[RecordBatch]:
        """See `ObservationSource`."""
        return record_batches(self.read())


def open_source(path: Path) -> ObservationSource:
    """The folder or file of observations at a path. Raises UsageError if there is neither."""
    if path.is_dir():
        return PartsFolder(path)
    if not path.exists():
        raise UsageError(f"{path}: there is no such file")
    return ObservationFile(path)


def read_part(path: Path) -> Tabular:
    """One part. Raises UsageError if it is damaged, or is not of observations."""
    table = _normalised(_read(path), path)
    _require(table.schema.names, REQUIRED, path)
    return table


def require_metric_columns(spec: JudgeSpec, available: Iterable[str], path: Path) -> None:
    """Raises UsageError if a metric's column is not among those of the file."""
    _require(list(available), [metric.column for metric in spec.metrics if metric.column != "error"], path)


def _require(available: list[str], wanted: Iterable[str], path: Path) -> None:
    missing = [name for name in dict.fromkeys(wanted) if name not in available]
    if missing:
        several = "s" if len(missing) > 1 else ""
        raise UsageError(
            f"{path}: column{several} {', '.join(missing)} missing; the file has {', '.join(available)}. "
            f"Observations need {', '.join(REQUIRED)}, and a column for each metric."
        )


def _read(path: Path) -> Tabular:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"{path}: cannot tell the format from the suffix; it must be one of {', '.join(_READERS)}"
        )
    try:
        return reader(path)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: there is no such file") from error
    except (pa.ArrowException, OSError) as error:
        raise UsageError(
            f"{path}: cannot be read as {path.suffix.lower()[1:]}: {_first_line(error)}"
        ) from error


def _read_csv(path: Path) -> Tabular:
    # Names and keys are text even where they look like numbers.
    text = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(_TEXT, pa.string()),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    return pyarrow.csv.read_csv(path, convert_options=text)


_READERS: Mapping[str, Callable[[Path], Tabular]] = {
    ".parquet": pq.read_table,
    ".csv": _read_csv,
    ".jsonl": pyarrow.json.read_json,
    ".ndjson": pyarrow.json.read_json,
    ".json": pyarrow.json.read_json,
}


def _normalised(table: Tabular, path: Path) -> Tabular:
    """The columns that have a fixed meaning, cast to its type; others, which may be metrics, as they are."""
    for at, name in enumerate(table.schema.names):
        column = table.column(at)
        try:
            if pa.types.is_timestamp(column.type):
                cast = pa.chunked_array([pa.array(as_floats(column))])
            elif name in _TYPES:
                cast = column.cast(_TYPES[name])
            else:
                continue
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise UsageError(f"{path}: column {name} is not as it must be: {_first_line(error)}") from error
        table = table.set_column(at, name, cast)
    return table


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
