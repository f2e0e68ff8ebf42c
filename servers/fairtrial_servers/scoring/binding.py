"""Which columns of the data a model gets, and how: by name where the model has names, else by position."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fairtrial_servers.models import TableInputs
from fairtrial_servers.scoring.arrow import Batch, Schema, is_list, is_numeric, is_text
from fairtrial_servers.scoring.cells import Cells, Mask, explain, numbers, tensors, texts
from fairtrial_servers.scoring.errors import ScoreError, listed
from fairtrial_servers.tensor_specs import NUMPY, Array, TensorSpec


@dataclass(frozen=True)
class Problem:
    """The first cell, counted by rows, that the model cannot take."""

    row: int  # in the batch
    sentence: str


@dataclass(frozen=True)
class Binding:
    """`columns`: a column of the data, and the input or part of an input that it becomes.

    `matrix`: the input that all of them make up side by side; None: each is one of its own.
    """

    columns: tuple[tuple[str, TensorSpec], ...]
    matrix: TensorSpec | None
    missing: bool

    def numbers(self) -> list[str]:
        return [
            name
            for name, spec in self.columns
            if spec.datatype not in ("BYTES", "BOOL") and len(spec.shape) < 2
        ]

    def texts(self) -> list[str]:
        return [name for name, spec in self.columns if spec.datatype == "BYTES"]

    def names(self) -> list[str]:
        return [name for name, _ in self.columns]

    def arrays(self, batch: Batch) -> tuple[dict[str, Array], Mask | None, Problem | None]:
        """What `infer` takes, by input; the rows with a cell that it cannot take, and the first such cell."""
        matrix: Array | None = None
        if self.matrix is not None:
            matrix = np.empty((batch.num_rows, len(self.columns)), dtype=NUMPY[self.matrix.datatype])
        inputs: dict[str, Array] = {}
        bad: Mask | None = None
        problem: Problem | None = None
        for position, (name, spec) in enumerate(self.columns):
            column = batch.column(name)
            cells = self._cells(column, spec)
            if cells.bad is not None:
                row = int(np.argmax(cells.bad))
                if problem is None or row < problem.row:
                    problem = Problem(row, f'column "{name}": {explain(column, row, spec)}')
                bad = cells.bad if bad is None else bad | cells.bad
            if matrix is not None:
                matrix[:, position] = cells.values
            else:
                inputs[spec.name] = cells.values.reshape(-1, 1) if spec.shape == (-1, 1) else cells.values
        if matrix is not None and self.matrix is not None:
            inputs = {self.matrix.name: matrix}
        return inputs, bad, problem

    def _cells(self, column: Batch, spec: TensorSpec) -> Cells:
        if is_list(column.type):
            return tensors(column, spec)
        if spec.datatype == "BYTES":
            return texts(column, missing=self.missing)
        return numbers(column, spec, missing=self.missing)


def bind(
    table: TableInputs, schema: Schema, not_features: frozenset[str], data: str, *, parsed: bool
) -> Binding:
    """The columns of `schema` that a model's inputs come from.

    parsed: text is not refused where numbers are taken, for it is yet to be parsed, cell by cell.
    Raises ScoreError if one is missing or of the wrong kind, or there are more or fewer than the model takes.
    """
    unknown = sorted(not_features - set(schema.names))
    if unknown:
        raise ScoreError(f"{data} has no column {listed(unknown)}; its columns are {listed(schema.names)}")
    wanted = [spec.name for spec in table.columns]
    if wanted and all(name in schema.names for name in wanted):
        chosen = wanted
    elif wanted and table.named and not _lone_column(table):
        raise ScoreError(_lacking(wanted, schema, data))
    else:
        chosen = _by_position(table, schema, not_features, data)
    matrix = table.matrix
    if matrix is not None and len(chosen) == 1 and is_list(schema.field(chosen[0]).type):
        matrix, specs = None, (matrix,)
    elif matrix is not None and not table.columns:
        specs = tuple(TensorSpec(name, matrix.datatype, (-1,)) for name in chosen)
    else:
        specs = table.columns
    for name, spec in zip(chosen, specs, strict=True):
        _check_kind(name, spec, schema, data, parsed=parsed)
    return Binding(tuple(zip(chosen, specs, strict=True)), matrix, table.missing)


def _lone_column(table: TableInputs) -> bool:
    """One input, which clients call what they like: so may the data."""
    return len(table.columns) == 1


def _by_position(table: TableInputs, schema: Schema, not_features: frozenset[str], data: str) -> list[str]:
    features = [field for field in schema if field.name not in not_features]
    first = table.matrix or table.columns[0]
    lists = [field.name for field in features if is_list(field.type)]
    if first.datatype != "BYTES" and len(lists) == 1 and len(first.shape) > 1:
        return lists
    what, fits = ("text", is_text) if first.datatype == "BYTES" else ("numeric", is_numeric)
    found = [field.name for field in features if fits(field.type)]
    width = len(table.columns) or (first.shape[1] if len(first.shape) == 2 else 1)
    if not found or width not in (-1, len(found)):
        raise ScoreError(
            f"{data} has {len(found)} {what} columns that may be features"
            f"{' (' + listed(found) + ')' if found else ''}, but the model takes "
            f"{width if width != -1 else 'at least one'}: name those that are none with "
            f"--target, --id or --exclude"
        )
    return found


def _lacking(wanted: list[str], schema: Schema, data: str) -> str:
    lacking = [name for name in wanted if name not in schema.names]
    close = difflib.get_close_matches(lacking[0], schema.names, n=1)
    hint = f' (did you mean "{close[0]}"?)' if close else ""
    return (
        f"{data} has no column {listed(lacking)}{hint}, which the model takes; its columns are "
        f"{listed(schema.names)}"
    )


def _check_kind(name: str, spec: TensorSpec, schema: Schema, data: str, *, parsed: bool) -> None:
    kind = schema.field(name).type
    if spec.datatype == "BYTES":
        if not (is_text(kind) or is_numeric(kind)):
            raise ScoreError(f'{data}: column "{name}" holds {kind}, where the model takes text')
    elif is_list(kind):
        if len(spec.shape) < 2:
            raise ScoreError(f'{data}: column "{name}" holds lists, where the model takes one number a row')
        if spec.shape[1:].count(-1) > (1 if len(spec.shape) == 2 else 0):
            raise ScoreError(
                f'{data}: the model leaves open the shape of a row of "{spec.name}", {list(spec.shape[1:])}: '
                f"a list cannot say it"
            )
    elif len(spec.shape) > 2 or (len(spec.shape) == 2 and spec.shape[1] not in (1, -1)):
        raise ScoreError(
            f'{data}: column "{name}" holds one value a row, where the model takes {list(spec.shape[1:])}: '
            f"give a column of lists (Parquet, JSON lines)"
        )
    elif is_text(kind) and not parsed:
        raise ScoreError(
            f'{data}, row 1: column "{name}" holds text, where the model takes {spec.datatype} numbers: '
            f"encode it as the model was trained on it"
        )
    elif not (is_numeric(kind) or is_text(kind)):
        raise ScoreError(f'{data}: column "{name}" holds {kind}, where the model takes numbers')
    elif spec.datatype == "BOOL" and not _is_boolean(kind):
        raise ScoreError(f'{data}: column "{name}" holds {kind}, where the model takes true or false')


def _is_boolean(kind: object) -> bool:
    return str(kind) == "bool"


def describe(binding: Binding) -> Mapping[str, str]:
    """Column -> what it becomes, for the record."""
    return {name: f"{spec.name}: {spec.datatype}" for name, spec in binding.columns}
