"""Where rows come from: the seam, and the choice by the kind of place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from fairtrial_servers.scoring.arrow import Batch, Schema
from fairtrial_servers.scoring.errors import ScoreError
from fairtrial_servers.scoring.options import Options


class Source(Protocol):
    """Rows in an order that is the same each time they are read."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def schema(self) -> Schema:
        """The columns and what they hold."""
        ...

    @property
    def rows(self) -> int | None:
        """How many there are; None where only reading tells."""
        ...

    @property
    def verbatim(self) -> bool:
        """Whether batches hold the cells as the text that the file has, whatever `schema` says they mean."""
        ...

    def expect(self, numbers: Sequence[str], texts: Sequence[str], features: Sequence[str]) -> None:
        """Have these columns hold numbers, and those texts, where a file's first rows are all that tells.

        features: all that the model takes.
        """
        ...

    def fingerprint(self) -> Mapping[str, object]:
        """What changes when the data does, looked up anew. Raises ScoreError."""
        ...

    def batches(self, rows: int, skip: int, columns: Sequence[str] | None = None) -> Iterator[Batch]:
        """Batches of exactly `rows`, the last one excepted, from row `skip` on; of all columns or of some.

        In batches for another CSV file the lines may stand for all columns but the features (`whole_lines`).

        Raises ScoreError for what cannot be read.
        """
        ...

    def share_read(self) -> float | None:
        """How much of the data has been read, 0 to 1, where `rows` does not say."""
        ...


def open_source(options: Options) -> Source:
    """The rows that `options.data` names. Raises ScoreError."""
    where = options.data
    match where.kind:
        case "parquet" | "folder":
            from fairtrial_servers.scoring.parquet_reading import ParquetSource

            return ParquetSource(where.path)
        case "csv":
            from fairtrial_servers.scoring.csv_reading import CsvLines, CsvSource

            if options.out.kind == "csv" and not options.only_predictions:
                return CsvLines(where.path, options.text)
            # Text stays as it is written, and a cell that is no number must not end the reading.
            verbatim = options.out.kind == "csv" or options.on_bad_row == "null"
            return CsvSource(where.path, options.text, verbatim=verbatim)
        case "jsonl":
            from fairtrial_servers.scoring.json_reading import JsonLinesSource

            return JsonLinesSource(where.path)
        case "sql":
            from fairtrial_servers.scoring.sql_reading import SqlSource

            return SqlSource(where)


def file_fingerprint(path: Path) -> dict[str, object]:
    """Size, time of change and a digest of a file's two ends. Raises ScoreError if it is not there."""
    import hashlib

    end = 1 << 20
    try:
        with path.open("rb") as file:
            about = path.stat()
            digest = hashlib.sha256(file.read(end))
            file.seek(max(0, about.st_size - end))
            digest.update(file.read(end))
    except OSError as error:
        raise ScoreError(f"cannot read {path}: {error.strerror}") from error
    return {"size": about.st_size, "mtime": about.st_mtime_ns, "ends": digest.hexdigest()}
