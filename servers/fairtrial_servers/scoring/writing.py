"""Batches to one file that is written from its beginning to its end, or to a folder of such files."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from pyarrow import parquet

from fairtrial_servers.scoring.arrow import Batch, Schema, is_text
from fairtrial_servers.scoring.errors import writing_failed
from fairtrial_servers.scoring.lines import csv_header, csv_lines, json_lines
from fairtrial_servers.scoring.options import Location

#: Rows of a row group: enough to compress well, few enough to hold while it is filled.
_GROUP = 1 << 17
#: Rows of one file of a folder, about: it is cut where a batch ends.
FILE_ROWS = 1 << 20


class Writer(Protocol):
    """Writes batches of one schema; after `close` all is on disk."""

    def write(self, batch: Batch) -> None: ...

    def close(self) -> None: ...

    def abandon(self) -> None:
        """Let go of what is not whole and will not be."""
        ...


def open_writer(path: Path, where: Location, schema: Schema) -> Writer:
    """A writer to `path` in the format of `where`. Its methods raise OSError."""
    if where.kind in ("parquet", "folder"):
        return _ParquetWriter(path, schema)
    return _LinesWriter(path, where, schema)


class _ParquetWriter:
    def __init__(self, path: Path, schema: Schema) -> None:
        # Of the numbers of a feature hardly two are the same: a dictionary of them costs more than it saves.
        words = [field.name for field in schema if is_text(field.type)]
        self._path = path
        dictionaries: Any = words or False
        self._writer: Any = parquet.ParquetWriter(path, schema, use_dictionary=dictionaries)

    def write(self, batch: Batch) -> None:
        self._writer.write_batch(batch, row_group_size=_GROUP)

    def close(self) -> None:
        self.abandon()
        sync(self._path)

    def abandon(self) -> None:
        self._writer.close()


class _LinesWriter:
    def __init__(self, path: Path, where: Location, schema: Schema) -> None:
        self._path = path
        self._file: Any = path.open("wb")
        # Arrow's own gzip works at its hardest, five times as long. No time in the header: the same bytes.
        self._sink: Any = (
            gzip.GzipFile("", "wb", compresslevel=6, fileobj=self._file, mtime=0)
            if where.gzip
            else self._file
        )
        self._encode = csv_lines if where.kind == "csv" else json_lines
        if where.kind == "csv":
            self._sink.write(csv_header(schema))

    def write(self, batch: Batch) -> None:
        for piece in self._encode(batch):
            self._sink.write(piece)

    def close(self) -> None:
        self.abandon()
        sync(self._path)

    def abandon(self) -> None:
        try:
            self._sink.close()
        finally:
            self._file.close()


class FolderWriter:
    """`part-00000.parquet` and on, each of which appears when it is whole."""

    def __init__(
        self, folder: Path, where: Location, schema: Schema, done: int, *, before_cut: Callable[[], None]
    ) -> None:
        """done: files that are there already. before_cut: called before one more is."""
        self._before_cut = before_cut
        self._folder = folder
        self._where = where
        self._schema = schema
        self._next = done
        self._rows = 0
        self._writer: Writer | None = None

    def write(self, batch: Batch) -> None:
        if self._writer is None:
            self._writer = open_writer(self._partial, self._where, self._schema)
        self._writer.write(batch)
        self._rows += batch.num_rows
        if self._rows >= FILE_ROWS:
            self._cut()

    def close(self) -> None:
        if self._writer is None and self._next == 0:
            self._writer = open_writer(self._partial, self._where, self._schema)
        if self._writer is not None:
            self._cut()
        sync(self._folder)

    def abandon(self) -> None:
        if self._writer is not None:
            self._writer.abandon()

    @property
    def _partial(self) -> Path:
        return self._folder / ".partial"

    def _cut(self) -> None:
        assert self._writer is not None
        self._before_cut()
        self._writer.close()
        self._partial.rename(self._folder / part_name(self._next))
        sync(self._folder)
        self._writer, self._rows, self._next = None, 0, self._next + 1


def part_name(number: int) -> str:
    return f"part-{number:05}.parquet"


def sync(path: Path) -> None:
    """Have what was written to a file or folder on disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file in one step. Raises ScoreError, leaving what was there."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        sync(partial)
        partial.replace(path)
        sync(path.parent)
    except OSError as error:
        raise writing_failed(path, error) from error
