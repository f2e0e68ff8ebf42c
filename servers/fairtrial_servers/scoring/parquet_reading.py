"""Rows from one Parquet file, or from all that are in a folder, in the order of their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from fairtrial_servers.scoring.arrow import Batch, Schema, rechunked
from fairtrial_servers.scoring.errors import ScoreError, first_line, listed
from fairtrial_servers.scoring.reading import file_fingerprint

_SUFFIXES = (".parquet", ".pq")
#: Pages are read as they are needed: a row group, which may be as large as the file, is never held whole.
_STREAMED: dict[str, Any] = {"pre_buffer": False, "buffer_size": 1 << 18}


class ParquetSource:
    verbatim = False

    def __init__(self, path: Path) -> None:
        """Raises ScoreError if there is none, one is damaged, or the files of a folder differ in columns."""
        self.name = str(path)
        self._files = _files(path)
        self.schema: Schema = None
        self.rows = 0
        for file in self._files:
            opened = _open(file)
            if self.schema is None:
                self.schema = opened.schema_arrow
            elif not self.schema.equals(opened.schema_arrow):
                raise ScoreError(f"{file} has other columns, or other types, than {self._files[0].name}")
            self.rows += opened.metadata.num_rows
        doubled = sorted({name for name in self.schema.names if self.schema.names.count(name) > 1})
        if doubled:
            raise ScoreError(f"{path} has several columns of the name {listed(doubled)}")

    def expect(self, numbers: Sequence[str], texts: Sequence[str], features: Sequence[str]) -> None:
        del numbers, texts, features  # the file says what it holds

    def fingerprint(self) -> Mapping[str, object]:
        return {file.name: file_fingerprint(file) for file in self._files}

    def share_read(self) -> None:
        return None

    def batches(self, rows: int, skip: int, columns: Sequence[str] | None = None) -> Iterator[Batch]:
        return rechunked(self._stream(rows, skip, columns), rows)

    def _stream(self, rows: int, skip: int, columns: Sequence[str] | None) -> Iterator[Batch]:
        for path in self._files:
            file = _open(path)
            groups: list[int] = []
            for index in range(file.metadata.num_row_groups):
                size = file.metadata.row_group(index).num_rows
                if skip >= size and not groups:
                    skip -= size
                else:
                    groups.append(index)
            if not groups:
                continue
            try:
                for batch in file.iter_batches(rows, row_groups=groups, columns=columns):
                    left_out = min(skip, batch.num_rows)
                    skip -= left_out
                    yield batch.slice(left_out)
            except (OSError, pa.ArrowException) as error:
                raise ScoreError(f"{path} cannot be read: {first_line(error)}") from error


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(
        file
        for file in path.iterdir()
        if file.is_file() and file.suffix.lower() in _SUFFIXES and not file.name.startswith((".", "_"))
    )
    if not found:
        raise ScoreError(f"{path} is a folder without Parquet files (*.parquet)")
    return found


def _open(path: Path) -> Any:
    try:
        return parquet.ParquetFile(path, **_STREAMED)
    except FileNotFoundError:
        raise ScoreError(f"{path} does not exist: DATA must name the rows to score") from None
    except (OSError, pa.ArrowException) as error:
        raise ScoreError(f"{path} cannot be read as Parquet: {first_line(error)}") from error
