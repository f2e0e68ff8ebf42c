"""Batches as lines of CSV or JSON, made by Arrow's kernels, whole columns at a time.

pyarrow writes no JSON, and its CSV writer puts every text in quotes, even numbers kept as they were.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from fairtrial_servers.scoring.arrow import Batch, Column, Schema, is_text, kernels, plain
from fairtrial_servers.scoring.errors import ScoreError
from fairtrial_servers.scoring.whole_lines import cell_names, has_lines

_TEXT = pa.large_string()
#: Whole lines that are written at once: they stay in a processor's cache.
_FEW = 1 << 10


def csv_header(schema: Schema) -> bytes:
    return _bytes(_joined([_quoted(pa.array([name], _TEXT)) for name in cell_names(schema)], ",", "\n"))


def csv_lines(batch: Batch) -> Iterator[bytes]:
    """Raises ScoreError for a column whose values are no single cell."""
    if not has_lines(batch.schema):
        yield _bytes(csv_rows(batch))
        return
    # What is put behind each line is made for all of them: the lines are copied once more, and that is all.
    behind = csv_rows(batch.select(batch.schema.names[1:])).cast(pa.large_binary())
    for first in range(0, batch.num_rows, _FEW):
        cells = kernels.binary_slice(batch.column(0).slice(first, _FEW), 0, -1)
        comma = pa.scalar(b",", pa.large_binary())
        yield _bytes(kernels.binary_join_element_wise(cells, behind.slice(first, _FEW), comma))


def csv_rows(batch: Batch) -> Column:
    """Rows as lines with their newlines. Raises ScoreError for a column whose values are no single cell."""
    cells = [_cell(batch.schema.field(index).name, column) for index, column in enumerate(batch.columns)]
    if len(cells) == 1:
        # An empty line would be no row.
        cells = [kernels.if_else(kernels.equal(cells[0], ""), '""', cells[0])]
    return _joined(cells, ",", "\n")


def json_lines(batch: Batch) -> Iterator[bytes]:
    pieces: list[Any] = []
    for index, column in enumerate(batch.columns):
        name = json.dumps(batch.schema.field(index).name, ensure_ascii=False)
        pieces += [f"{',' if index else '{'}{name}:", _json(column)]
    yield _bytes(kernels.binary_join_element_wise(*_scalars(pieces), _scalar("}\n"), _scalar("")))


def _cell(name: str, column: Column) -> Column:
    column = plain(column)
    if pa.types.is_nested(column.type):
        raise ScoreError(
            f'column "{name}" holds {column.type}, which a CSV file cannot: write .parquet or .jsonl'
        )
    if is_text(column.type):
        # An empty text stays apart from an empty cell.
        column = column.cast(_TEXT)
        empty = kernels.equal(column, "")
        text = _quoted(column)
        return _filled(kernels.if_else(empty, '""', text) if kernels.any(empty).as_py() else text)
    return _filled(_plain_text(name, column))


def _filled(column: Column) -> Column:
    return column.fill_null("") if column.null_count else column


def _quoted(column: Column) -> Column:
    # Looked for in all cells at once first: a regular expression costs more than all the rest.
    together = _bytes(column)
    if not any(mark in together for mark in (b'"', b",", b"\r", b"\n")):
        return column
    special = kernels.match_substring_regex(column, '[",\r\n]')
    doubled = kernels.replace_substring(column, '"', '""')
    return kernels.if_else(
        special, kernels.binary_join_element_wise(_scalar('"'), doubled, _scalar('"'), _scalar("")), column
    )


def _json(column: Column) -> Column:
    column = plain(column)
    kind = column.type
    if pa.types.is_fixed_size_list(kind) and kind.list_size and pa.types.is_primitive(kind.value_type):
        return _json_list(column)
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        values = [None if value is None else json.dumps(value, default=str) for value in column.to_pylist()]
        return pa.array(values, _TEXT).fill_null("null")
    if is_text(kind):
        return _json_strings(column.cast(_TEXT))
    if pa.types.is_floating(kind):
        finite = kernels.is_finite(column)
        # JSON has no word for those that are not.
        text = column.cast(_TEXT)
        return kernels.if_else(finite, text, "null").fill_null("null")
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return column.cast(_TEXT).fill_null("null")
    return _json_strings(_plain_text("", column))


def _json_list(column: Column) -> Column:
    """Lists of one length, from the text of all their values."""
    size, valid = column.type.list_size, column.is_valid()
    values = _json(column.filter(valid).flatten())
    by_place = [values.take(pa.array(range(start, len(values), size))) for start in range(size)]
    joined = kernels.binary_join_element_wise(*by_place, _scalar(","))
    texts = kernels.binary_join_element_wise(_scalar("["), joined, _scalar("]"), _scalar(""))
    places = kernels.subtract(kernels.cumulative_sum(valid.cast(pa.int64())), 1)
    return texts.take(kernels.if_else(valid, places, None)).fill_null("null")


def _json_strings(column: Column) -> Column:
    if kernels.any(kernels.match_substring_regex(column, "[\\x00-\\x1f]")).as_py():
        values = [
            None if value is None else json.dumps(value, ensure_ascii=False) for value in column.to_pylist()
        ]
        return pa.array(values, _TEXT).fill_null("null")
    if kernels.any(kernels.match_substring_regex(column, '["\\\\]')).as_py():
        column = kernels.replace_substring(kernels.replace_substring(column, "\\", "\\\\"), '"', '\\"')
    return kernels.binary_join_element_wise(_scalar('"'), column, _scalar('"'), _scalar("")).fill_null("null")


def _plain_text(name: str, column: Column) -> Column:
    """Numbers, truth values and moments as Arrow writes them."""
    try:
        return column.cast(_TEXT)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise ScoreError(
            f'column "{name}" holds {column.type}, which has no form as text: leave it out'
        ) from None


def _joined(cells: list[Column], between: str, end: str) -> Column:
    lines = kernels.binary_join_element_wise(*cells, _scalar(between)) if len(cells) > 1 else cells[0]
    return kernels.binary_join_element_wise(lines, _scalar(end), _scalar(""))


def _scalars(pieces: list[Any]) -> list[Any]:
    return [_scalar(piece) if isinstance(piece, str) else piece for piece in pieces]


def _scalar(text: str) -> Any:
    return pa.scalar(text, _TEXT)


def _bytes(column: Column) -> bytes:
    """The texts one after another, as they lie in memory."""
    if not len(column):
        return b""
    _, offsets, data = column.buffers()
    bounds = memoryview(offsets).cast("q")
    return memoryview(data)[bounds[column.offset] : bounds[column.offset + len(column)]].tobytes()
