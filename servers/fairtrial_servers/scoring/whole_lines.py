"""Rows of a CSV file that are written to another one: each stays the line that it is, whatever its cells are.

Only the cells that the model takes are ever looked at, so that a row costs what parsing its features does.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from fairtrial_servers.scoring.arrow import Column, Field, Schema

#: The column of whole lines, each with its newline, by a name that no header has.
LINES = "\n"
_NAMES = b"fairtrial.columns"
#: Bytes that are cut into lines at once: they stay in a processor's cache.
_PIECE = 1 << 20


class NotPlain(Exception):
    """There are quotes, lone carriage returns or no UTF-8: where a row ends, the parser alone can say."""


def lines_field(names: Sequence[str]) -> Field:
    """The column of lines of a file with these columns."""
    return pa.field(LINES, pa.large_binary(), nullable=False, metadata={_NAMES: json.dumps(list(names))})


def has_lines(schema: Schema) -> bool:
    """Whether the first column is one of lines."""
    return len(schema) > 0 and _NAMES in (schema.field(0).metadata or {})


def cell_names(schema: Schema) -> list[str]:
    """The names of all columns, those that lines are made of among them."""
    if not has_lines(schema):
        return list(schema.names)
    return [*json.loads(schema.field(0).metadata[_NAMES]), *schema.names[1:]]


def plain_lines(stream: Any, names: Sequence[str]) -> Iterator[Column]:
    """The lines after the header, which has these names, as `stream` gives them, but for empty ones.

    Raises NotPlain before a piece that has other than plain lines.
    """
    rest, in_header = b"", True
    while True:
        read: bytes = stream.read(_PIECE)
        piece, rest = _whole_lines(rest + read, last=not read)
        if piece and in_header:
            piece, in_header = _without_header(piece, names), False
        if piece:
            yield column_of(_checked(piece))
        if not read:
            return


def _without_header(piece: bytes, names: Sequence[str]) -> bytes:
    header, _, piece = piece.partition(b"\n")
    try:
        cells = next(csv.reader([header.decode("utf-8-sig").removesuffix("\r")], strict=True), None)
    except (UnicodeDecodeError, csv.Error):
        raise NotPlain from None
    if cells != list(names):
        raise NotPlain
    return piece


def _whole_lines(data: bytes, *, last: bool) -> tuple[bytes, bytes]:
    if last:
        return (data + b"\n" if data and not data.endswith(b"\n") else data), b""
    cut = data.rfind(b"\n") + 1
    return data[:cut], data[cut:]


def _checked(piece: bytes) -> bytes:
    if b"\r" in piece:
        piece = piece.replace(b"\r\n", b"\n")
    if b'"' in piece or b"\r" in piece:
        raise NotPlain
    if not piece.isascii():
        try:
            piece.decode()
        except UnicodeDecodeError:
            raise NotPlain from None
    return piece


def column_of(piece: bytes) -> Column:
    """Plain lines, each with its newline, as a column."""
    ends = np.flatnonzero(np.frombuffer(piece, np.uint8) == ord("\n")) + 1
    offsets = np.concatenate([np.zeros(1, np.int64), ends.astype(np.int64)])
    full = np.diff(offsets) > 1
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(piece)]
    column = pa.Array.from_buffers(pa.large_binary(), len(ends), buffers)
    return column if full.all() else column.filter(pa.array(full))


def bytes_of(column: Column) -> tuple[Any, int]:
    """The lines one after another, as they lie in memory, and the length of the longest."""
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    return data.slice(bounds[0], bounds[-1] - bounds[0]), int(np.diff(bounds).max(initial=0))
