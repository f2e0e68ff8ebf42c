"""Columns in which a value may be missing: V2 tensors to object arrays with None where nothing is known."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any

import numpy as np
from mlserver.errors import InferenceError
from mlserver.types import RequestInput, TensorData

from fairtrial_servers.runtime import by_name, check_rows
from fairtrial_servers.tensor_specs import Array, TensorSpec
from fairtrial_servers.tensors import decode

#: What stands in for a missing value while the others are checked.
_FILLERS: dict[str, object] = {"BYTES": "", "BOOL": False}


def decode_columns(
    tensors: Sequence[RequestInput], specs: Sequence[TensorSpec], may_miss: Collection[str]
) -> dict[str, Array]:
    """The request's tensors by the names of `specs`, all with as many rows.

    In the columns `may_miss` a null, and a NaN where the datatype has one, is a missing value; they come out
    as object arrays of Python values and None. A lone input may be called anything. Raises InferenceError.
    """
    if len(specs) == 1:
        if len(tensors) != 1:
            raise InferenceError(f'expected one input, "{specs[0].name}", got {len(tensors)}')
        sent = {specs[0].name: tensors[0]}
    else:
        sent = by_name(tensors, specs)
    arrays = {
        spec.name: (_with_holes if spec.name in may_miss else decode)(sent[spec.name], spec) for spec in specs
    }
    check_rows(arrays)
    return arrays


def _with_holes(tensor: RequestInput, spec: TensorSpec) -> Array:
    tensor, holes = _filled(tensor)
    array = decode(tensor, spec)
    values = array.astype(object)
    if array.dtype.kind == "f":
        values[np.isnan(array)] = None
    values[holes] = None
    return values


def _filled(tensor: RequestInput) -> tuple[RequestInput, list[int]]:
    """The tensor with a value of its datatype for each null, and where the nulls were."""
    data: Any = getattr(tensor.data, "root", tensor.data)
    if not isinstance(data, list):
        return tensor, []  # `decode` says what is wrong with it
    flat: list[Any] = data
    if any(type(row) is list and None in row for row in flat):
        if any(type(row) is not list or len(row) != 1 for row in flat):
            return tensor, []
        flat = list(chain.from_iterable(flat))
    holes = [index for index, value in enumerate(flat) if value is None]
    if not holes:
        return tensor, []
    filler = _FILLERS.get(str(getattr(tensor.datatype, "value", tensor.datatype)), 0)
    filled = [filler if value is None else value for value in flat]
    known = copy.copy(tensor)
    known.data = TensorData.model_construct(filled)
    return known, holes
