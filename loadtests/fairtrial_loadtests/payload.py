"""V2 JSON request bodies: how a row of the data set is put, by what a model says of its inputs.

A model with one numeric two-dimensional input, or one that declares nothing, gets the features as a
matrix of one row, in file order. Any other gets each of its inputs from the column of the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from fairtrial_loadtests.dataset import Column, Dataset
from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.tables import listed
from fairtrial_loadtests.v2 import ModelMetadata, TensorSpec

#: What a model that declares no inputs is sent; MLServer's stock runtimes take any name.
UNDECLARED = TensorSpec("input-0", "FP64", (-1, -1))


class Encoder(Protocol):
    """Makes request bodies."""

    def suits(self, sent: Encoder) -> bool:
        """Whether this encoder's model also takes the bodies that `sent` makes."""
        ...

    def encode(self, row: int) -> bytes: ...


def encoder_for(arm: str, metadata: ModelMetadata, data: Dataset) -> Encoder:
    """The encoder that suits a model. Raises BadLoadError if the data lacks what the model takes."""
    inputs = metadata.inputs
    if not inputs:
        return _Matrix(arm, UNDECLARED, data)
    if len(inputs) == 1 and len(inputs[0].shape) == 2 and inputs[0].datatype != "BYTES":
        # A lone column of the data with the input's name is that input, not a matrix of one feature or more.
        width = inputs[0].shape[1]
        if not (width == 1 and inputs[0].name in data.features):
            return _Matrix(arm, inputs[0], data)
    return _Columns(arm, inputs, data)


class _Matrix:
    def __init__(self, arm: str, spec: TensorSpec, data: Dataset) -> None:
        features = len(data.features)
        width = spec.shape[1]
        if width not in (-1, features):
            raise BadLoadError(
                f"{data.name} has {features} feature columns ({listed(data.features)}), but the model of arm "
                f"{arm!r} takes {width}: name the columns that are no features as target or exclude."
            )
        columns = [data.column(name) for name in data.features]
        for name, column in zip(data.features, columns, strict=True):
            if isinstance(column, list):
                raise BadLoadError(
                    f"{data.name} has text in column {name!r}, but the model of arm {arm!r} takes "
                    "a matrix of numbers: encode the column as the model was trained on it, or exclude it."
                )
        integers = spec.datatype.startswith(("INT", "UINT"))
        self._matrix: NDArray[Any] = np.column_stack(columns).astype(np.int64 if integers else np.float64)
        self._spec = spec
        self._integers = integers
        head = orjson.dumps({"name": spec.name, "shape": [1, features], "datatype": spec.datatype})
        self._head = b'{"inputs":[' + head[:-1] + b',"data":'
        self._tail = b"}]}"

    def suits(self, sent: Encoder) -> bool:
        if self._spec is UNDECLARED:  # thought to take whatever the other arms do
            return True
        if not isinstance(sent, _Matrix) or sent._integers != self._integers:
            return False
        said, named = sent._spec, self._spec
        return named.any_name or (said.name, said.datatype) == (named.name, named.datatype)

    def encode(self, row: int) -> bytes:
        return self._head + orjson.dumps(self._matrix[row], option=orjson.OPT_SERIALIZE_NUMPY) + self._tail


@dataclass(frozen=True)
class _Input:
    head: bytes
    column: Column


class _Columns:
    def __init__(self, arm: str, inputs: tuple[TensorSpec, ...], data: Dataset) -> None:
        missing = [spec.name for spec in inputs if spec.name not in data.features]
        if missing:
            raise BadLoadError(
                f"{data.name} has no column {listed(repr(name) for name in missing)}, which the model of arm "
                f"{arm!r} takes; its features are {listed(data.features)}."
            )
        self._inputs = [self._input(arm, spec, data) for spec in inputs]
        self._specs = inputs

    def suits(self, sent: Encoder) -> bool:
        return isinstance(sent, _Columns) and sent._specs == self._specs

    @staticmethod
    def _input(arm: str, spec: TensorSpec, data: Dataset) -> _Input:
        column = data.column(spec.name)
        text = isinstance(column, list)
        if text != (spec.datatype == "BYTES"):
            if not text:
                column = [str(value) for value in column.tolist()]
            else:
                raise BadLoadError(
                    f"{data.name} has text in column {spec.name!r}, but the model of arm {arm!r} takes "
                    f"{spec.datatype} there."
                )
        elif not isinstance(column, list) and spec.datatype.startswith("FP"):
            column = column.astype(np.float64)
        shape = [1] * max(len(spec.shape), 1)
        head = orjson.dumps({"name": spec.name, "shape": shape, "datatype": spec.datatype})
        return _Input(head[:-1] + b',"data":[', column)

    def encode(self, row: int) -> bytes:
        inputs = [
            each.head + orjson.dumps(each.column[row], option=orjson.OPT_SERIALIZE_NUMPY) + b"]}"
            for each in self._inputs
        ]
        return b'{"inputs":[' + b",".join(inputs) + b"]}"
