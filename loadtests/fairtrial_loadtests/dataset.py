"""The rows that are replayed: features, target and unit, from Parquet, CSV or JSON lines.

pyarrow, which has no types, stays inside this module: what leaves it is numpy arrays and Python values.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.plan import Requests
from fairtrial_loadtests.tables import listed, read_file

#: A cell of the target column. None: empty.
Value: TypeAlias = str | int | float | bool | None

#: A feature: float64, int64 or bool by row, or text.
Column: TypeAlias = "NDArray[np.float64] | NDArray[np.int64] | NDArray[np.bool_] | list[str]"

_Arrow: TypeAlias = Any


class Dataset:
    """Features by column, in file order; by row the target and the unit, where the plan names them.

    Raises BadLoadError if the file is missing, damaged, empty, or lacks a column that the plan names.
    """

    def __init__(self, requests: Requests) -> None:
        if requests.data is None:
            raise BadLoadError("No file is named, so there is nothing to send.")
        table = read_file(requests.data, "`requests.data` must name the rows to send")
        self.name = requests.data.name
        self.rows: int = table.num_rows
        if self.rows == 0:
            raise BadLoadError(f"{requests.data} has no rows, so there is nothing to send.")
        named = _named_columns(requests)
        for role, column in named:
            if column not in table.column_names:
                raise BadLoadError(
                    f"{requests.data} has no column {column!r}, which is named as {role}; "
                    f"its columns are {listed(table.column_names)}."
                )
        left_out = [column for _, column in named]
        self.features: list[str] = [c for c in table.column_names if c not in left_out]
        if not self.features:
            raise BadLoadError(f"{requests.data} has no features left once {listed(left_out)} are taken out.")
        self._table = table.select(self.features)
        self.targets = self._targets(table, requests.target) if requests.target else None
        self.units = self._units(table, requests.unit) if requests.unit else None

    def column(self, name: str) -> Column:
        """A feature's values by row. Raises BadLoadError if a cell is empty or of a type V2 cannot carry."""
        cells = _plain(self._table.column(name))
        kind = cells.type
        if cells.null_count:
            row = cells.is_null().index(True).as_py()
            raise BadLoadError(
                f"{self.name} has an empty cell in column {name!r}, row {row}: a V2 request cannot carry it, "
                "so fill the column or exclude it."
            )
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            texts: list[str] = cells.to_pylist()
            return texts
        if pa.types.is_boolean(kind):
            return np.asarray(cells.to_numpy(), dtype=np.bool_)
        if pa.types.is_integer(kind):
            return np.asarray(cells.to_numpy(), dtype=np.int64)
        if pa.types.is_floating(kind):
            return self._finite(name, np.asarray(cells.to_numpy(), dtype=np.float64))
        raise BadLoadError(
            f"{self.name} has {kind} values in column {name!r}, which a V2 request cannot carry: "
            "make them numbers or strings, or exclude the column."
        )

    def _finite(self, name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise BadLoadError(
                f"{self.name} has {values[bad[0]]} in column {name!r}, row {bad[0]}: JSON cannot carry it, "
                "so fill the column or exclude it."
            )
        return values

    def _targets(self, table: _Arrow, name: str) -> list[Value]:
        cells = _plain(table.column(name))
        types = pa.types
        tests = (
            types.is_integer,
            types.is_floating,
            types.is_boolean,
            types.is_string,
            types.is_large_string,
        )
        if not any(test(cells.type) for test in tests):
            raise BadLoadError(
                f"{self.name} has {cells.type} values in its target {name!r}: "
                "a target must be numbers, strings or booleans."
            )
        targets: list[Value] = cells.to_pylist()
        return targets

    def _units(self, table: _Arrow, name: str) -> list[str | None]:
        units: list[str | None] = []
        for row, value in enumerate(table.column(name).to_pylist()):
            text = None if value is None else str(value)
            # A line break in a header value would begin a header of its own.
            if text is not None and not (text.isascii() and text.isprintable()):
                raise BadLoadError(
                    f"{self.name} has {text!r} in its unit column {name!r}, row {row}: "
                    "it cannot be sent in a header, so give units of plain ASCII."
                )
            units.append(text)
        return units


def _named_columns(requests: Requests) -> list[tuple[str, str]]:
    named = [("the target", requests.target), ("the unit", requests.unit)]
    named += [("excluded", column) for column in requests.exclude]
    return [(role, column) for role, column in named if column is not None]


def _plain(cells: _Arrow) -> _Arrow:
    """Dictionary-encoded and decimal columns as what they stand for."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    if pa.types.is_decimal(cells.type):
        cells = cells.cast(pa.float64())
    return cells
