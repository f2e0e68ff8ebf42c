"""Tables in files: Parquet, CSV or JSON lines, by their suffix."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from fairtrial_loadtests.errors import BadLoadError

_Arrow: TypeAlias = Any


def listed(names: Iterable[str]) -> str:
    """Names for a message: the first eight, and how many more."""
    every = list(names)
    shown = ", ".join(every[:8])
    return shown if len(every) <= 8 else f"{shown} and {len(every) - 8} more"


def read_table(path: Path, only: str | None = None) -> _Arrow:
    """The file as a pyarrow Table; of a Parquet file only the column `only`, if it has that.

    Raises OSError or ArrowException if it cannot be read, BadLoadError if it is of no known format.
    """
    match path.suffix.lower():
        case ".parquet" | ".pq":
            from pyarrow import parquet

            # The file alone: `parquet.read_table` would make columns of folders called "key=value".
            file = parquet.ParquetFile(path)
            return file.read([only] if only in file.schema_arrow.names else None)
        case ".csv":
            from pyarrow import csv

            return csv.read_csv(path)
        case ".jsonl" | ".ndjson" | ".json":
            from pyarrow import json

            return json.read_json(path)
        case _:
            raise BadLoadError(f"{path} cannot be replayed: give a .parquet, .csv or .jsonl file.")


def read_file(path: Path, wanted: str, only: str | None = None) -> _Arrow:
    """As `read_table`, but every mistake is a BadLoadError. wanted: what the file was to be, in words."""
    try:
        return read_table(path, only)
    except FileNotFoundError:
        raise BadLoadError(f"{path} does not exist: {wanted}.") from None
    except (OSError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise BadLoadError(f"{path} cannot be read: {reason}.") from error
