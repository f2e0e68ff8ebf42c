"""Streams a file of observations, whatever its format, a bounded part of it in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from fairtrial.errors import UsageError
from fairtrial.evidence.arrow import RecordBatch, as_floats

TEXT = ("arm", "id", "unit", "segment", "prediction")
_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(TEXT, pa.string()),
    **dict.fromkeys(("status", "pair", "row"), pa.int64()),
    **dict.fromkeys(("time", "latency", "sent", "score", "absoluteError", "squaredError"), pa.float64()),
}
_ROWS = 1 << 16
#: Bytes of text read at a time; no line may be longer.
_BYTES = 4 << 20


class Opened(NamedTuple):
    """What a file has, and the way to its rows."""

    names: list[str]  # of all columns
    batches: Callable[[Sequence[str]], Iterator[RecordBatch]]  # of those columns, in the file's order


def open_file(path: Path, *, encoded: bool = False) -> Opened:
    """Open a file by its suffix. Raises UsageError in one sentence for what cannot be read.

    encoded: arms and segments of Parquet come as dictionaries, which is faster.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"{path}: cannot tell the format from the suffix; it must be one of {', '.join(_READERS)}"
        )
    try:
        names, batches = _open_parquet(path, encoded=encoded) if reader is _open_parquet else reader(path)
    except _READING_ERRORS as error:
        raise _damaged(path, error) from error
    return Opened(names, lambda columns: _normalised(path, batches, columns))


def empty(names: Sequence[str]) -> Any:
    """A table of no observations."""
    return pa.table({name: pa.array([], _TYPES.get(name, pa.float64())) for name in names})


def normalised(batch: RecordBatch, path: Path) -> RecordBatch:
    """Columns with a fixed meaning cast to its type; others, which may be metrics, as they are.

    Names may stay dictionary-encoded. Raises UsageError for what cannot be cast.
    """
    for at, name in enumerate(batch.schema.names):
        column = batch.column(at)
        wanted = _TYPES.get(name)
        if column.type == wanted or (pa.types.is_dictionary(column.type) and wanted == pa.string()):
            continue
        try:
            if pa.types.is_timestamp(column.type):
                cast = pa.array(as_floats(column))
            elif wanted is not None:
                cast = column.cast(wanted)
            else:
                continue
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise UsageError(f"{path}: column {name} is not as it must be: {first_line(error)}") from error
        batch = batch.set_column(at, name, cast)
    return batch


def first_line(error: Exception) -> str:
    """An error's first line, or its kind if it says nothing."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


_READING_ERRORS = (pa.ArrowException, OSError, UnicodeDecodeError)
_Batches = Callable[[Sequence[str]], Iterator[RecordBatch]]


def _normalised(path: Path, batches: _Batches, columns: Sequence[str]) -> Iterator[RecordBatch]:
    try:
        for batch in batches(columns):
            if batch.num_rows:
                yield normalised(batch, path)
    except _READING_ERRORS as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UsageError:
    if isinstance(error, FileNotFoundError):
        return UsageError(f"{path}: there is no such file")
    at = _bad_line(path) if path.suffix.lower() in _JSON else None
    where = f"{path}:{at}" if at else str(path)
    return UsageError(f"{where}: cannot be read as {path.suffix.lower()[1:]}: {first_line(error)}")


def _open_parquet(path: Path, *, encoded: bool = False) -> tuple[list[str], _Batches]:
    def batches(columns: Sequence[str]) -> Iterator[RecordBatch]:
        dictionaries = [name for name in ("arm", "segment") if encoded and name in columns]
        with pq.ParquetFile(path, read_dictionary=dictionaries, pre_buffer=False, buffer_size=_BYTES) as file:
            yield from file.iter_batches(_ROWS, columns=list(columns))

    with pq.ParquetFile(path) as file:
        return list(file.schema_arrow.names), batches


def _open_csv(path: Path) -> tuple[list[str], _Batches]:
    def open_as(types: Mapping[str, Any], include: Sequence[str] | None) -> Any:
        return pyarrow.csv.open_csv(
            path,
            # With one thread a mistake is told with its row.
            read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=_BYTES),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types,
                include_columns=include,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    # Names and keys are text even where they look like numbers.
    text: dict[str, Any] = dict.fromkeys(TEXT, pa.string())
    with open_as(text, None) as file:
        schema = file.schema

    def batches(columns: Sequence[str]) -> Iterator[RecordBatch]:
        types = {name: _settled(schema.field(name).type, name) for name in columns}
        with open_as({**text, **types}, columns) as file:
            yield from file

    return list(schema.names), batches


def _open_json(path: Path) -> tuple[list[str], _Batches]:
    options = pyarrow.json.ReadOptions(use_threads=False, block_size=_BYTES)
    with pyarrow.json.open_json(path, read_options=options) as file:
        schema = file.schema

    def batches(columns: Sequence[str]) -> Iterator[RecordBatch]:
        types = [(name, _settled(schema.field(name).type, name)) for name in columns]
        parse = pyarrow.json.ParseOptions(
            explicit_schema=pa.schema(types), unexpected_field_behavior="ignore"
        )
        with pyarrow.json.open_json(path, read_options=options, parse_options=parse) as file:
            for batch in file:
                yield batch.select(list(columns))

    return list(schema.names), batches


def _settled(seen: Any, name: str) -> Any:
    """The type of a column all the way, from what its beginning looks like: fractions may come later."""
    wanted = _TYPES.get(name)
    if pa.types.is_null(seen):
        return wanted or pa.float64()
    if pa.types.is_integer(seen):
        return pa.float64() if wanted is None else wanted
    # A word among numbers is for the reader to tell, with its row; a time may be a date.
    numeric = pa.types.is_floating(seen) or (pa.types.is_string(seen) and name != "time")
    return wanted if wanted is not None and numeric else seen


def _bad_line(path: Path) -> int | None:
    """Number of the first line that is no JSON object."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                if line.strip() and not isinstance(json.loads(line), dict):
                    return number
            except ValueError:
                return number
    return None


_JSON = (".jsonl", ".ndjson", ".json")
_READERS: Mapping[str, Callable[[Path], tuple[list[str], _Batches]]] = {
    ".parquet": _open_parquet,
    ".csv": _open_csv,
    **dict.fromkeys(_JSON, _open_json),
}
