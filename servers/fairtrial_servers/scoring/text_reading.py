"""Rows from CSV and JSON lines, plain or gzipped, block by block."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv, json

from fairtrial_servers.scoring.arrow import Batch, Schema, rechunked
from fairtrial_servers.scoring.cells import NULLS
from fairtrial_servers.scoring.errors import ScoreError, first_line, listed
from fairtrial_servers.scoring.reading import file_fingerprint

#: Bytes that are parsed at once. What the first block holds decides the types of the columns.
_BLOCK = 4 << 20

_CONVERSION = re.compile(
    r"In CSV column #(\d+): Row #(\d+): CSV conversion error to (\S+): invalid value (.*)"
)

_UNREADABLE = (OSError, pa.ArrowException, UnicodeDecodeError)


class _TextSource:
    """One file that is read from its beginning each time."""

    rows = None
    schema: Schema
    verbatim = False

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._size = 0
        self._raw: Any = None

    def fingerprint(self) -> Mapping[str, object]:
        return file_fingerprint(self._path)

    def share_read(self) -> float | None:
        if self._raw is None or self._raw.closed or not self._size:
            return None
        return min(1.0, self._raw.tell() / self._size)

    def batches(self, rows: int, skip: int, columns: Sequence[str] | None = None) -> Iterator[Batch]:
        return rechunked(self._blocks(columns), rows, skip)

    def _blocks(self, columns: Sequence[str] | None) -> Iterator[Batch]:
        raise NotImplementedError

    def _open(self) -> Any:
        """The file's bytes, unpacked."""
        try:
            self._size = self._path.stat().st_size
            if not self._path.is_file():
                raise ScoreError(f"{self._path} is no file")
            self._raw = pa.OSFile(str(self._path), "rb")
        except FileNotFoundError:
            raise ScoreError(f"{self._path} does not exist: DATA must name the rows to score") from None
        except OSError as error:
            raise ScoreError(f"cannot read {self._path}: {error.strerror or error}") from error
        if self._path.suffix.lower() == ".gz":
            return pa.CompressedInputStream(self._raw, "gzip")
        return self._raw

    def _reading(self, open_reader: Callable[[], Any]) -> Iterator[Batch]:
        try:
            with open_reader() as reader:
                yield from reader
        except _UNREADABLE as error:
            raise ScoreError(f"{self._path}: {self._words(error)}") from error

    def _words(self, error: Exception) -> str:
        return first_line(error)


class CsvSource(_TextSource):
    """A CSV file with a header. An empty cell is a null; among numbers so are NA, NaN, null and such."""

    def __init__(self, path: Path, text: Sequence[str], *, verbatim: bool) -> None:
        super().__init__(path)
        self.verbatim = verbatim
        self._numbers: frozenset[str] = frozenset()
        self.schema = self._first_schema(csv.ConvertOptions(strings_can_be_null=True))
        names: list[str] = self.schema.names
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ScoreError(f"{path} has several columns of the name {listed(doubled)}")
        unknown = [name for name in text if name not in names]
        if unknown:
            raise ScoreError(f"{path} has no column {listed(unknown)}, which --text names")
        # A column that is empty as far as the first block goes may hold anything further on.
        self.expect((), [field.name for field in self.schema if pa.types.is_null(field.type)])
        self.expect((), text)

    def expect(self, numbers: Sequence[str], texts: Sequence[str]) -> None:
        self._numbers = frozenset(numbers)
        self.schema = _with_types(self.schema, numbers, texts)

    def _first_schema(self, convert: Any) -> Schema:
        try:
            with self._reader(convert) as reader:
                return reader.schema
        except _UNREADABLE as error:
            if "Empty CSV" in str(error):
                raise ScoreError(f"{self._path} is empty: there is not even a header in it") from None
            raise ScoreError(f"{self._path}: {self._words(error)}") from error

    def _blocks(self, columns: Sequence[str] | None) -> Iterator[Batch]:
        names: list[str] = list(columns) if columns is not None else self.schema.names
        common = {"include_columns": names, "strings_can_be_null": True, "quoted_strings_can_be_null": False}
        if self.verbatim:
            types = dict.fromkeys(names, pa.string())
            convert = csv.ConvertOptions(column_types=types, null_values=[""], **common)
        else:
            types = {name: self.schema.field(name).type for name in names}
            # In a column of texts "NA" is a text.
            nulls = [""] if set(types.values()) == {pa.string()} else list(NULLS)
            convert = csv.ConvertOptions(column_types=types, null_values=nulls, **common)
        return self._reading(lambda: self._reader(convert))

    def _reader(self, convert: Any) -> Any:
        # One thread: only then do errors tell the line.
        read = csv.ReadOptions(use_threads=False, block_size=_BLOCK)
        parse = csv.ParseOptions(newlines_in_values=True)
        return csv.open_csv(self._open(), read_options=read, parse_options=parse, convert_options=convert)

    def _words(self, error: Exception) -> str:
        """Arrow's words, with a column's name for its number, and with "line" for what it calls a row."""
        words = first_line(error)
        found = _CONVERSION.match(words)
        if not found:
            return re.sub(r"^CSV parse error: Row #(\d+)", r"line \1", words)
        name = self.schema.names[int(found[1])]
        if name in self._numbers:
            return f'line {found[2]}, column "{name}": {found[4]} is no number, which the model takes there'
        return (
            f'line {found[2]}, column "{name}": {found[4]} is no {found[3]}, as in its first rows; '
            f"if it holds text, add --text {name}"
        )


class JsonLinesSource(_TextSource):
    """One JSON object in each line."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.schema = pa.schema([])
        try:
            with self._reader("infer") as reader:
                self.schema = reader.schema
        except _UNREADABLE as error:
            if "Empty JSON" not in str(error):
                raise ScoreError(f"{self._path}: {self._words(error)}") from error

    def expect(self, numbers: Sequence[str], texts: Sequence[str]) -> None:
        del texts  # a number in JSON is none of those
        number = [name for name in numbers if not pa.types.is_boolean(self.schema.field(name).type)]
        self.schema = _with_types(self.schema, number, ())

    def _blocks(self, columns: Sequence[str] | None) -> Iterator[Batch]:
        if not len(self.schema):
            return
        for batch in self._reading(lambda: self._reader("error")):
            yield batch.select(columns) if columns is not None else batch

    def _reader(self, unexpected: str) -> Any:
        return json.open_json(
            self._open(),
            read_options=json.ReadOptions(use_threads=False, block_size=_BLOCK),
            parse_options=json.ParseOptions(
                explicit_schema=self.schema, unexpected_field_behavior=unexpected
            ),
        )


def _with_types(schema: Schema, numbers: Sequence[str], texts: Sequence[str]) -> Schema:
    kinds = {**dict.fromkeys(numbers, pa.float64()), **dict.fromkeys(texts, pa.string())}
    return pa.schema([field.with_type(kinds.get(field.name, field.type)) for field in schema])
