"""The border to Arrow: record batches in, numpy out. Nothing else here touches pyarrow's data.

pyarrow ships no types; the aliases say what is meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fairtrial.evidence.keys import Keys
from fairtrial.evidence.seen import hash_text

#: A pyarrow.RecordBatch.
RecordBatch: TypeAlias = Any
#: A pyarrow.RecordBatch or pyarrow.Table.
Tabular: TypeAlias = Any
_Column: TypeAlias = Any

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Index: TypeAlias = npt.NDArray[np.int64]


class Numbered(NamedTuple):
    """Whole numbers, some of them not known."""

    keys: Keys  # [n]; undefined where not known
    known: BoolArray  # [n]


def record_batches(table: Tabular) -> Iterator[RecordBatch]:
    """The non-empty record batches of a table, or the batch itself."""
    batches = table.to_batches() if isinstance(table, pa.Table) else [table]
    return (batch for batch in batches if batch.num_rows)


def joined(batches: Sequence[RecordBatch]) -> RecordBatch:
    """One record batch of several with the same schema."""
    if len(batches) == 1:
        return batches[0]
    return pa.Table.from_batches(list(batches)).combine_chunks().to_batches()[0]


def rows_where(batch: RecordBatch, keep: BoolArray) -> RecordBatch:
    """The rows where `keep` holds."""
    return batch if keep.all() else batch.filter(pa.array(keep))


def has_column(batch: RecordBatch, name: str) -> bool:
    """Whether there is such a column with anything in it."""
    at = batch.schema.get_field_index(name)
    return at >= 0 and batch.column(at).null_count < batch.num_rows


class Numbers(NamedTuple):
    """A column as floats: NaN where it is null."""

    values: FloatArray  # [n]
    complete: bool  # nothing is null


def numbers(batch: RecordBatch, name: str) -> Numbers:
    """A numeric, boolean or timestamp column as floats; all NaN if it is not there.

    Timestamps become seconds since the epoch.
    """
    if not has_column(batch, name):
        return Numbers(np.full(batch.num_rows, np.nan), complete=False)
    column = batch.column(batch.schema.get_field_index(name))
    return Numbers(as_floats(column), complete=column.null_count == 0)


def floats(batch: RecordBatch, name: str) -> FloatArray | None:
    """The values of `numbers`, or None if the column is not there."""
    return numbers(batch, name).values if has_column(batch, name) else None


def failures(batch: RecordBatch, name: str) -> Index:
    """Positions of requests without an answer (0, or not known), or answered by an error (400 and above)."""
    at = batch.schema.get_field_index(name)
    column = batch.column(at)
    if column.null_count or not pa.types.is_integer(column.type):
        status = numbers(batch, name).values
    else:
        status = column.to_numpy(zero_copy_only=False)
    if status.size and status.min() > 0 and status.max() < 400:
        return np.zeros(0, np.int64)
    return np.flatnonzero(~((status > 0) & (status < 400)))


def not_null(batch: RecordBatch, name: str) -> BoolArray:
    """Where a column, which must be there, has a value (NaN is one)."""
    return batch.column(batch.schema.get_field_index(name)).is_valid().to_numpy(zero_copy_only=False)


def as_floats(column: _Column) -> FloatArray:
    """See `floats`. Raises pyarrow.ArrowInvalid, ArrowNotImplementedError for what has no number."""
    if pa.types.is_timestamp(column.type):
        nanoseconds = pc.cast(column, pa.timestamp("ns"), safe=False).cast(pa.int64())
        return as_floats(nanoseconds.cast(pa.float64(), safe=False)) / 1e9
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if column.type != pa.float64():
        column = column.cast(pa.float64(), safe=False)
    return column.to_numpy(zero_copy_only=False)


def whole_numbers(batch: RecordBatch, name: str) -> Numbered | None:
    """A column of whole numbers, such as `pair` and `row`; negative ones are not known. None if not there."""
    if not has_column(batch, name):
        return None
    column = batch.column(batch.schema.get_field_index(name))
    if column.type != pa.int64():
        column = column.cast(pa.int64())
    values = column.fill_null(-1).to_numpy(zero_copy_only=False)
    return Numbered(values.astype(np.uint64), values >= 0)


def hashes(batch: RecordBatch, name: str) -> Numbered | None:
    """A column of text (or anything that casts to it) as hashes of 64 bits; None if it is not there."""
    if not has_column(batch, name):
        return None
    column = batch.column(batch.schema.get_field_index(name))
    text = column.cast(pa.large_string()).fill_null("")
    _, offsets, data = text.buffers()
    ends = np.frombuffer(offsets, np.int64, len(text) + 1, text.offset * 8)
    content = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return Numbered(hash_text(content, ends), column.is_valid().to_numpy(zero_copy_only=False))


def positions(batch: RecordBatch, name: str, values: Sequence[str]) -> Index:
    """Position among `values` of each entry of a text column; -1 where it is none of them."""
    column = batch.column(batch.schema.get_field_index(name))
    among = pa.array(values, pa.string())
    if pa.types.is_dictionary(column.type):
        known = _positions(column.dictionary.cast(pa.string()), among)
        if not column.null_count:
            codes = column.indices.to_numpy(zero_copy_only=False)
            same = np.array_equal(known, np.arange(known.size))
            return codes.astype(np.int64) if same else known.take(codes)
        codes = column.indices.cast(pa.int64()).fill_null(known.size).to_numpy(zero_copy_only=False)
        return np.append(known, -1)[codes]
    return _positions(column.cast(pa.string()), among)


def _positions(column: _Column, among: _Column) -> Index:
    found = pc.call_function("index_in", [column], pc.SetLookupOptions(among)).fill_null(-1)
    return found.to_numpy(zero_copy_only=False).astype(np.int64)


def names(batch: RecordBatch, name: str) -> tuple[Index, list[str | None]]:
    """A text column as positions in a list of its distinct values, of which the last is None (null)."""
    if not has_column(batch, name):
        return np.zeros(batch.num_rows, np.int64), [None]
    column = batch.column(batch.schema.get_field_index(name))
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    distinct: list[str | None] = [*column.dictionary.to_pylist(), None]
    codes = column.indices.cast(pa.int64()).fill_null(len(distinct) - 1).to_numpy(zero_copy_only=False)
    return codes, distinct
