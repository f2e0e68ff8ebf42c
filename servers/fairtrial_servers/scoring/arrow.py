"""pyarrow, which has no types, under names that say what is meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute

Batch: TypeAlias = Any  # pyarrow.RecordBatch
Column: TypeAlias = Any  # pyarrow.Array
Field: TypeAlias = Any  # pyarrow.Field
Schema: TypeAlias = Any  # pyarrow.Schema
Type: TypeAlias = Any  # pyarrow.DataType

#: Arrow's kernels, most of which exist at run time only.
kernels: Any = pyarrow.compute


def rechunked(batches: Iterable[Batch], rows: int, skip: int = 0) -> Iterator[Batch]:
    """The same rows in batches of exactly `rows`, the last one excepted; the first `skip` rows left out."""
    held: list[Batch] = []
    have = 0
    for batch in without_first(batches, skip):
        held.append(batch)
        have += batch.num_rows
        while have >= rows:
            whole = joined(held)
            yield whole.slice(0, rows)
            have -= rows
            held = [whole.slice(rows)] if have else []
    if have:
        yield joined(held)


def without_first(batches: Iterable[Batch], skip: int) -> Iterator[Batch]:
    """The same rows but for the first `skip`, in batches that have some."""
    for batch in batches:
        left_out = min(skip, batch.num_rows)
        skip -= left_out
        if left_out < batch.num_rows:
            yield batch.slice(left_out)


def joined(batches: list[Batch]) -> Batch:
    """One batch of several."""
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def plain(column: Column) -> Column:
    """A dictionary-encoded or decimal column as what it stands for; a chunked one in one piece."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    return column


def is_text(kind: Type) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_numeric(kind: Type) -> bool:
    """Whether a model's numbers can come from such a column; one that is empty throughout has no type."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_decimal,
        pa.types.is_null,
    )
    return any(test(kind) for test in tests)


def is_list(kind: Type) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))
