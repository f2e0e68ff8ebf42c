"""Columns of a table as numpy arrays, whole columns at a time, and which of their cells a model cannot take.

The rules are those for requests: a number that the input's type does not hold is refused and not bent, and an
empty cell is a missing value only for a model that deals with such. NaN counts as an empty cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, prod
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fairtrial_servers.scoring.arrow import Column, is_list, is_text, kernels, plain
from fairtrial_servers.tensor_specs import NUMPY, Array, TensorSpec

Mask = NDArray[np.bool_]

#: What stands for an empty cell in a column of numbers of a text file.
NULLS = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "#N/A", "<NA>")


@dataclass(frozen=True)
class Cells:
    """The values by row, and the rows whose cell is not to be used; None: all are."""

    values: Array
    bad: Mask | None = None


def numbers(column: Column, spec: TensorSpec, *, missing: bool) -> Cells:
    """A column as numbers of the dtype of `spec`. Text is parsed, as a CSV file kept verbatim needs it."""
    column = plain(column)
    wrong: Mask | None = None
    if is_text(column.type):
        column, wrong = parsed(column)
    elif pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    elif pa.types.is_boolean(column.type) and NUMPY[spec.datatype].kind != "b":
        column = column.cast(pa.uint8())
    dtype = NUMPY[spec.datatype]
    if column.null_count:
        absent = np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)
        if not (missing and dtype.kind == "f"):
            wrong = _either(wrong, absent)
            column = column.fill_null(False if pa.types.is_boolean(column.type) else 0)
    source: Array = column.to_numpy(zero_copy_only=False)
    if source.dtype.kind == "f" and not (missing and dtype.kind == "f"):
        absent = np.isnan(source)
        if absent.any():
            wrong = _either(wrong, absent)
            source = np.where(absent, 0, source)
    values, lost = _converted(source, dtype)
    return Cells(values, _either(wrong, lost))


def texts(column: Column, *, missing: bool) -> Cells:
    """A column as an object array of str, None where a missing value is let through."""
    column = plain(column)
    if not is_text(column.type):
        column = column.cast(pa.string())
    values: Array = column.to_numpy(zero_copy_only=False)
    if values.dtype != object:
        values = values.astype(object)
    if not column.null_count or missing:
        return Cells(values)
    return Cells(values, np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_))


def tensors(column: Column, spec: TensorSpec) -> Cells:
    """A column of lists, each with the numbers of one row, as an array of the shape of `spec`."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    rows = len(column)
    lengths = np.asarray(
        kernels.fill_null(kernels.list_value_length(column), -1).to_numpy(zero_copy_only=False)
    )
    size = prod(spec.shape[1:]) if -1 not in spec.shape[1:] else int(lengths.max(initial=0))
    right = lengths == size
    inner = TensorSpec(spec.name, spec.datatype, (-1,))
    flat = numbers(column.filter(pa.array(right)).flatten(), inner, missing=False)
    values = np.zeros((rows, size), dtype=flat.values.dtype)
    values[right] = flat.values.reshape(-1, size)
    bad = ~right
    if flat.bad is not None:
        bad[right] = flat.bad.reshape(-1, size).any(axis=1)
    shape = (rows, *spec.shape[1:]) if -1 not in spec.shape[1:] else (rows, size)
    return Cells(values.reshape(shape), bad if bad.any() else None)


def parsed(column: Column) -> tuple[Column, Mask | None]:
    """Text as float64, and which cells are neither a number nor empty (a null in the result)."""
    try:
        return column.cast(pa.float64()), None
    except pa.ArrowInvalid:
        column = kernels.if_else(kernels.is_in(column, pa.array(NULLS, column.type)), None, column)
        column = kernels.utf8_trim(column, " \t")  # as the reader of a CSV file does before it parses
    pieces: list[Column] = []
    _parse(column, pieces)
    result = pa.concat_arrays(pieces)
    wrong = np.asarray(
        kernels.and_(result.is_null(), column.is_valid()).to_numpy(zero_copy_only=False), np.bool_
    )
    return result, wrong if wrong.any() else None


def _parse(column: Column, into: list[Column]) -> None:
    """By halves, so that what cannot be parsed is found in a few steps and costs no other cell its value."""
    try:
        into.append(column.cast(pa.float64()))
    except pa.ArrowInvalid:
        if len(column) == 1:
            into.append(pa.nulls(1, pa.float64()))
            return
        middle = len(column) // 2
        _parse(column.slice(0, middle), into)
        _parse(column.slice(middle), into)


def explain(column: Column, row: int, spec: TensorSpec) -> str:
    """What is wrong with a cell that is bad."""
    value: Any = column[row].as_py()
    if value is None or (isinstance(value, str) and value in NULLS):
        return "the cell is empty, and the model deals with no missing values"
    if isinstance(value, float) and isnan(value):
        return "the cell is NaN, and the model deals with no missing values"
    if is_list(column.type) and isinstance(value, list):
        return f"a list of {len(value)}, maybe with empty cells, where the model takes {list(spec.shape[1:])}"
    if isinstance(value, str):
        return f"{value!r} is no number" if spec.datatype != "BYTES" else f"{value!r} is refused"
    return f"{value!r} does not fit in {spec.datatype}, which the model takes"


def _converted(source: Array, dtype: np.dtype[Any]) -> tuple[Array, Mask | None]:
    if source.dtype == dtype:
        return source, None
    with np.errstate(invalid="ignore", over="ignore"):
        values = source.astype(dtype)
        lost = np.isinf(values) & ~np.isinf(source) if dtype.kind == "f" else values != source
    return values, lost if lost.any() else None


def _either(one: Mask | None, other: Mask | None) -> Mask | None:
    if one is None or other is None:
        return other if one is None else one
    return one | other
