"""Rows from CSV, plain or gzipped, block by block."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from fairtrial_servers.scoring.arrow import Batch, Schema, rechunked, without_first
from fairtrial_servers.scoring.cells import NULLS
from fairtrial_servers.scoring.errors import ScoreError, first_line, listed
from fairtrial_servers.scoring.lines import csv_rows
from fairtrial_servers.scoring.text_reading import BLOCK, UNREADABLE, TextSource, with_types
from fairtrial_servers.scoring.whole_lines import NotPlain, bytes_of, lines_field, plain_lines

#: Bytes of lines that are parsed at once: they stay in a processor's cache.
_PIECE = 1 << 20

_CONVERSION = re.compile(
    r"In CSV column #(\d+): Row #(\d+): CSV conversion error to (\S+): invalid (?:value (.*)|UTF8.*)"
)


class CsvSource(TextSource):
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
        empty = [field.name for field in self.schema if pa.types.is_null(field.type)]
        self.expect((), [*empty, *text], ())

    def expect(self, numbers: Sequence[str], texts: Sequence[str], features: Sequence[str]) -> None:
        del features
        self._numbers = frozenset(numbers)
        self.schema = with_types(self.schema, numbers, texts)

    def _first_schema(self, convert: Any) -> Schema:
        try:
            with self._reader(convert) as reader:
                return reader.schema
        except UNREADABLE as error:
            if "Empty CSV" in str(error):
                raise ScoreError(f"{self.path} is empty: there is not even a header in it") from None
            raise ScoreError(f"{self.path}: {self.words(error)}") from error

    def blocks(self, columns: Sequence[str] | None) -> Iterator[Batch]:
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
        return self.reading(lambda: self._reader(convert))

    def _reader(self, convert: Any) -> Any:
        # One thread: only then do errors tell the line.
        read = csv.ReadOptions(use_threads=False, block_size=BLOCK)
        parse = csv.ParseOptions(newlines_in_values=True)
        return csv.open_csv(
            self.open_bytes(), read_options=read, parse_options=parse, convert_options=convert
        )

    def words(self, error: Exception, before: int = 0) -> str:
        """Arrow's words, with a column's name for its number, and with "line" for what it calls a row.

        before: lines that it has not seen.
        """
        words = first_line(error)
        found = _CONVERSION.match(words)
        if not found:
            return re.sub(r"^CSV parse error: Row #(\d+)", lambda row: f"line {int(row[1]) + before}", words)
        name, line = self.schema.names[int(found[1])], int(found[2]) + before
        if found[4] is None:
            return f'line {line}, column "{name}": bytes that are no UTF-8, in which the file has to be'
        if name in self._numbers:
            return f'line {line}, column "{name}": {found[4]} is no number, which the model takes there'
        return (
            f'line {line}, column "{name}": {found[4]} is no {found[3]}, as in its first rows; '
            f"if it holds text, add --text {name}"
        )


class CsvLines(CsvSource):
    """A CSV file whose rows go to another one: whole lines, and beside them the cells that a model takes."""

    def __init__(self, path: Path, text: Sequence[str]) -> None:
        self._features: tuple[str, ...] = ()
        super().__init__(path, text, verbatim=True)

    def expect(self, numbers: Sequence[str], texts: Sequence[str], features: Sequence[str]) -> None:
        super().expect(numbers, texts, features)
        self._features = tuple(features)

    def batches(self, rows: int, skip: int, columns: Sequence[str] | None = None) -> Iterator[Batch]:
        del columns  # the lines have them all
        first = skip
        for batch in rechunked(self._lines(), rows, skip):
            yield self._with_features(batch, first)
            first += batch.num_rows

    def _lines(self) -> Iterator[Batch]:
        schema = pa.schema([lines_field(self.schema.names)])
        done = 0
        try:
            with self.open_bytes() as stream:
                for lines in plain_lines(stream, self.schema.names):
                    yield pa.RecordBatch.from_arrays([lines], schema=schema)
                    done += len(lines)
        except UNREADABLE as error:
            raise ScoreError(f"{self.path}: {self.words(error)}") from error
        except NotPlain:
            yield from self._lines_by_parser(schema, done)

    def _lines_by_parser(self, schema: Schema, done: int) -> Iterator[Batch]:
        for batch in without_first(self.blocks(None), done):
            yield pa.RecordBatch.from_arrays([csv_rows(batch).cast(pa.large_binary())], schema=schema)

    def _with_features(self, batch: Batch, first: int) -> Batch:
        """The lines, the first one row `first`, and the features: as text if a cell is not of its kind."""
        types = {name: self.schema.field(name).type for name in self._features}
        try:
            found = self._parsed(batch, types)
        except pa.ArrowInvalid:
            try:
                found = self._parsed(batch, dict.fromkeys(types, pa.string()))
            except UNREADABLE as error:
                raise ScoreError(f"{self.path}: {self.words(error, first + 1)}") from error
        fields = [*batch.schema, *found.schema]
        return pa.RecordBatch.from_arrays([*batch.columns, *found.columns], schema=pa.schema(fields))

    def _parsed(self, batch: Batch, types: dict[str, Any]) -> Batch:
        data, longest = bytes_of(batch.column(0))
        read = csv.ReadOptions(
            use_threads=False, block_size=max(_PIECE, 2 * longest), column_names=self.schema.names
        )
        table = csv.read_csv(
            pa.BufferReader(data),
            read_options=read,
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=_conversion(types),
        )
        return table.combine_chunks().to_batches()[0]


def _conversion(types: dict[str, Any]) -> Any:
    """In a column of texts "NA" is a text, and an empty one in quotes no null."""
    texts = pa.string() in types.values()
    return csv.ConvertOptions(
        include_columns=list(types),
        column_types=types,
        null_values=[""] if texts else list(NULLS),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
