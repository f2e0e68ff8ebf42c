"""What files of text have in common: they are read from their beginning, plain or gzipped, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from fairtrial_servers.scoring.arrow import Batch, Schema, rechunked
from fairtrial_servers.scoring.errors import ScoreError, first_line
from fairtrial_servers.scoring.reading import file_fingerprint

#: Bytes that are parsed at once. What the first block holds decides the types of the columns.
BLOCK = 4 << 20

UNREADABLE = (OSError, pa.ArrowException, UnicodeDecodeError)


class TextSource:
    """One file that is read from its beginning each time."""

    rows = None
    schema: Schema
    verbatim = False

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.path = path
        self._size = 0
        self._raw: Any = None

    def fingerprint(self) -> Mapping[str, object]:
        return file_fingerprint(self.path)

    def share_read(self) -> float | None:
        if self._raw is None or self._raw.closed or not self._size:
            return None
        return min(1.0, self._raw.tell() / self._size)

    def batches(self, rows: int, skip: int, columns: Sequence[str] | None = None) -> Iterator[Batch]:
        return rechunked(self.blocks(columns), rows, skip)

    def blocks(self, columns: Sequence[str] | None) -> Iterator[Batch]:
        raise NotImplementedError

    def open_bytes(self) -> Any:
        """The file's bytes, unpacked."""
        try:
            self._size = self.path.stat().st_size
            if not self.path.is_file():
                raise ScoreError(f"{self.path} is no file")
            self._raw = pa.OSFile(str(self.path), "rb")
        except FileNotFoundError:
            raise ScoreError(f"{self.path} does not exist: DATA must name the rows to score") from None
        except OSError as error:
            raise ScoreError(f"cannot read {self.path}: {error.strerror or error}") from error
        if self.path.suffix.lower() == ".gz":
            return pa.CompressedInputStream(self._raw, "gzip")
        return self._raw

    def reading(self, open_reader: Callable[[], Any]) -> Iterator[Batch]:
        try:
            with open_reader() as reader:
                yield from reader
        except UNREADABLE as error:
            raise ScoreError(f"{self.path}: {self.words(error)}") from error

    def words(self, error: Exception) -> str:
        return first_line(error)


def with_types(schema: Schema, numbers: Sequence[str], texts: Sequence[str]) -> Schema:
    kinds = {**dict.fromkeys(numbers, pa.float64()), **dict.fromkeys(texts, pa.string())}
    return pa.schema([field.with_type(kinds.get(field.name, field.type)) for field in schema])
