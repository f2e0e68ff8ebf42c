"""A batch of rows through a model: its predictions as columns, or which row it does not take and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from fairtrial_servers.errors import InputError
from fairtrial_servers.models import Model, Signature
from fairtrial_servers.scoring.arrow import Batch, Column, Schema
from fairtrial_servers.scoring.binding import Binding
from fairtrial_servers.scoring.cells import Mask
from fairtrial_servers.scoring.errors import RowError, ScoreError, first_line, listed
from fairtrial_servers.scoring.options import Options
from fairtrial_servers.tensor_specs import NUMPY, Array


class Predictor:
    """One loaded model on the columns of one source."""

    def __init__(
        self, model: Model, signature: Signature, binding: Binding, options: Options, data: str
    ) -> None:
        """Raises ScoreError for an output that the model does not give."""
        self._model = model
        self._binding = binding
        self._options = options
        self._data = data
        self._specs = {spec.name: spec for spec in signature.outputs}
        unknown = [name for name in options.outputs if name not in self._specs]
        if unknown:
            raise ScoreError(
                f"the model gives {listed(list(self._specs))}, but --outputs names {listed(unknown)}"
            )
        self.outputs: tuple[str, ...] = options.outputs or signature.defaults
        #: The prediction columns. The first batch settles them; an earlier run's are taken over.
        self.schema: Schema | None = None

    def predict(self, batch: Batch, first: int) -> Batch:
        """The prediction columns of `batch`, whose first row is row `first` of the data.

        Raises RowError for a row that the model does not take, unless such rows are to be left without.
        """
        inputs, bad, problem = self._binding.arrays(batch)
        keep_going = self._options.on_bad_row == "null"
        if problem is not None and not keep_going:
            # An earlier row may be refused by the model itself.
            earlier = {name: array[: problem.row] for name, array in inputs.items()}
            if problem.row:
                self._infer_or_tell(earlier, problem.row, first)
            raise RowError(self._sentence(first + problem.row, problem.sentence), first + problem.row)
        if bad is not None:
            inputs = {name: array[~bad] for name, array in inputs.items()}
        rows = batch.num_rows - (int(bad.sum()) if bad is not None else 0)
        if not rows:
            return self._empty(batch.num_rows)
        if keep_going:
            answers, bad = self._infer_or_leave_out(inputs, rows, bad)
        else:
            answers = self._infer_or_tell(inputs, rows, first)
        if answers is None:
            return self._empty(batch.num_rows)
        return self._settled(self._columns(answers, bad))

    def no_rows(self) -> Batch:
        """The prediction columns of a table without rows."""
        return self._empty(0)

    def _infer(self, inputs: Mapping[str, Array], rows: int) -> Mapping[str, Array]:
        try:
            answers = self._model.infer(inputs, self.outputs)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"the model fails: {type(error).__name__}: {first_line(error)}") from error
        for name, answer in answers.items():
            if answer.ndim == 0 or len(answer) != rows:
                given = len(answer) if answer.ndim else 1
                raise ScoreError(
                    f'the model gives {given} rows as "{name}" for {rows}: it cannot score a table'
                )
        return answers

    def _infer_or_tell(self, inputs: Mapping[str, Array], rows: int, first: int) -> Mapping[str, Array]:
        try:
            return self._infer(inputs, rows)
        except InputError as error:
            row, sentence = self._first_refused(inputs, rows, error)
            if row is None:
                raise ScoreError(
                    f"{self._data}, rows {first + 1:,} to {first + rows:,}: {sentence}"
                ) from error
            raise RowError(self._sentence(first + row, sentence), first + row) from error

    def _first_refused(
        self, inputs: Mapping[str, Array], rows: int, error: Exception
    ) -> tuple[int | None, str]:
        """By halves; None where the model refuses them only together."""
        begin, end, last = 0, rows, error
        while end - begin > 1:
            middle = (begin + end) // 2
            refused = self._refusal(inputs, begin, middle)
            if refused is not None:
                end, last = middle, refused
                continue
            refused = self._refusal(inputs, middle, end)
            if refused is None:
                return None, first_line(error)
            begin, last = middle, refused
        return begin, self._not_finite(inputs, begin) or first_line(last)

    def _refusal(self, inputs: Mapping[str, Array], begin: int, end: int) -> InputError | None:
        try:
            self._infer({name: array[begin:end] for name, array in inputs.items()}, end - begin)
        except InputError as error:
            return error
        return None

    def _not_finite(self, inputs: Mapping[str, Array], row: int) -> str | None:
        for name, array in inputs.items():
            if array.dtype.kind != "f" or np.isfinite(array[row]).all():
                continue
            names = self._binding.names() if self._binding.matrix is not None else [name]
            where = int(np.argmin(np.isfinite(np.atleast_1d(array[row]))))
            value = np.atleast_1d(array[row]).ravel()[where]
            return f'column "{names[min(where, len(names) - 1)]}": {value}, where the model takes finite ones'
        return None

    def _infer_or_leave_out(
        self, inputs: Mapping[str, Array], rows: int, bad: Mask | None
    ) -> tuple[Mapping[str, Array] | None, Mask | None]:
        """The answers for the rows that the model takes, and which of all rows it does not."""
        try:
            return self._infer(inputs, rows), bad
        except InputError:
            refused = np.zeros(rows, dtype=np.bool_)
        spans = [(0, rows)]
        while spans:
            begin, end = spans.pop()
            if self._refusal(inputs, begin, end) is None:
                continue
            if end - begin == 1:
                refused[begin] = True
            else:
                middle = (begin + end) // 2
                spans += [(begin, middle), (middle, end)]
        every = np.zeros(rows, dtype=np.bool_) if bad is None else bad.copy()
        every[~every] = refused
        left = {name: array[~refused] for name, array in inputs.items()}
        count = rows - int(refused.sum())
        return (self._infer(left, count) if count else None), every

    def _columns(self, answers: Mapping[str, Array], bad: Mask | None) -> Batch:
        columns: dict[str, Column] = {}
        places = None
        if bad is not None and bad.any():
            # Position of each row's answer, null for a row that has none.
            places = pa.array(np.cumsum(~bad) - 1, mask=bad)
        for name in self.outputs:
            for label, column in _table(
                self._options.prefix + name, answers[name], lists=self._options.lists
            ):
                columns[label] = column if places is None else column.take(places)
        return pa.RecordBatch.from_pydict(columns)

    def _settled(self, batch: Batch) -> Batch:
        """`batch` with the columns and types that the first one had."""
        if self.schema is None:
            self.schema = batch.schema
        if batch.schema.equals(self.schema):
            return batch
        try:
            return batch.cast(self.schema)
        except (pa.ArrowException, ValueError) as error:
            raise ScoreError(
                f"{self._data}: the model's answers change from batch to batch, from {_said(self.schema)} to "
                f"{_said(batch.schema)}"
            ) from error

    def _empty(self, rows: int) -> Batch:
        schema = self.schema = self._stated() if self.schema is None else self.schema
        return pa.RecordBatch.from_arrays([pa.nulls(rows, field.type) for field in schema], schema=schema)

    def _stated(self) -> Schema:
        """The prediction columns as the model's metadata has them."""
        made_up: dict[str, Array] = {}
        for name in self.outputs:
            spec = self._specs[name]
            if -1 in spec.shape[1:]:
                raise ScoreError(
                    f"{self._data}: there is no row that the model takes, and it does not say how wide its "
                    f'output "{name}" is'
                )
            fill: Any = "" if spec.datatype == "BYTES" else 0
            made_up[name] = np.full((1, *spec.shape[1:]), fill, dtype=NUMPY[spec.datatype])
        return self._columns(made_up, None).schema

    def _sentence(self, row: int, what: str) -> str:
        return f"{self._data}, row {row + 1:,}: {what}"


def _table(name: str, answer: Array, *, lists: bool) -> Sequence[tuple[str, Column]]:
    """An output as one column, or as one for each of its values by row."""
    flat = answer.reshape(len(answer), -1)
    if flat.shape[1] == 1 and answer.ndim <= 2:
        return [(name, _column(flat[:, 0]))]
    if lists:
        return [(name, pa.FixedSizeListArray.from_arrays(_column(flat.ravel()), flat.shape[1]))]
    return [(f"{name}_{index}", _column(flat[:, index])) for index in range(flat.shape[1])]


def _column(values: Array) -> Column:
    if values.dtype.kind == "U":
        values = values.astype(object)
    if values.dtype == object:
        try:
            return pa.array(values, pa.string())
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            texts = [each.decode() if isinstance(each, bytes) else str(each) for each in values.tolist()]
            return pa.array(texts, pa.string())
    if values.dtype == np.float16:
        values = values.astype(np.float32)  # which text formats can write
    return pa.array(np.ascontiguousarray(values))


def _said(schema: Schema) -> str:
    return listed([f"{field.name} ({field.type})" for field in schema])
