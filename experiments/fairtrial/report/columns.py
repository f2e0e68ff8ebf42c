"""Columns of Arrow tables as numpy arrays and lists.

pyarrow ships no types, so what is used of it is pinned down here, and nothing else touches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Texts = list[str | None]


class Table(Protocol):
    """A `pyarrow.Table`, as far as it is read here."""

    @property
    def num_rows(self) -> int: ...

    @property
    def column_names(self) -> list[str]: ...

    def column(self, i: str) -> Any: ...


def read_parts(path: Path, names: Sequence[str]) -> list[Table]:
    """Those columns, as far as they are there, of a folder of part-*.parquet or of one file."""
    import pyarrow.parquet as pq

    parts = [path] if path.is_file() else sorted(path.glob("part-*.parquet"))
    tables: list[Table] = []
    for part in parts:
        with pq.ParquetFile(part) as file:
            tables.append(file.read(columns=[name for name in names if name in file.schema_arrow.names]))
    return tables


def numbers(table: Table, name: str) -> Floats:
    """A column of numbers; NaN where it has none, and throughout if the table lacks it."""
    import pyarrow as pa

    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    values = table.column(name).cast(pa.float64()).fill_null(float("nan"))
    return np.asarray(values.to_numpy(), dtype=np.float64)


def texts(table: Table, name: str) -> Texts:
    """A column as text; None where it has none, and throughout if the table lacks it."""
    if name not in table.column_names:
        return [None] * table.num_rows
    return [None if value is None else str(value) for value in table.column(name).to_pylist()]


def values(table: Table, name: str) -> Floats | Texts | None:
    """A feature by its kind: numbers, or text (also for booleans); None for what is neither."""
    import pyarrow as pa

    kind = table.column(name).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return numbers(table, name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind):
        return texts(table, name)
    return None
