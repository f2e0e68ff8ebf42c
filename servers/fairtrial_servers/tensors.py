"""V2 tensors to numpy arrays and back, with nothing taken on trust.

Everything a client sends is checked here before a model sees it, and each refusal is an InferenceError
(HTTP 400, gRPC INVALID_ARGUMENT) that says what was expected and what came. The checks run at C speed
over whole lists: one pass over the types of the elements finds a string, a null, a boolean and a ragged
list alike, which costs about 2 us for a row of 64 numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import prod
from typing import Any, cast

import numpy as np
from mlserver.errors import InferenceError
from mlserver.types import Parameters, RequestInput, ResponseOutput, TensorData

from fairtrial_servers.tensor_specs import FLOATS, INTEGERS, NUMPY, Array, TensorSpec, datatype_of

# How MLServer's own clients are told to read a tensor: StringCodec, NumpyCodec.
_STRINGS, _NUMBERS = Parameters(content_type="str"), Parameters(content_type="np")
_NONE = type(None)
#: Python types that a JSON or protobuf element of each datatype may have.
_ACCEPTS: dict[str, frozenset[type]] = {
    **dict.fromkeys(INTEGERS, frozenset[type]({int})),
    **dict.fromkeys(FLOATS, frozenset[type]({int, float})),
    "BOOL": frozenset[type]({bool}),
    "BYTES": frozenset[type]({str, bytes}),
}
_WORDS: dict[type, str] = {
    str: "a string", bytes: "a string", _NONE: "a null", bool: "a boolean", list: "a list",
    dict: "an object", int: "a whole number", float: "a fraction",
}  # fmt: skip


def decode(tensor: RequestInput, spec: TensorSpec, *, missing: bool = False) -> Array:
    """The array that `tensor` stands for, of the dtype of `spec.datatype`, checked against `spec`.

    A column (`spec.shape == (-1,)`) also takes shape [n, 1] and comes out as [n]. BYTES become an object
    array of str. With `missing`, a null is a missing value (NaN, None) and no error.

    Raises InferenceError.
    """
    name = spec.name
    sent = str(getattr(tensor.datatype, "value", tensor.datatype))
    if sent not in NUMPY:
        raise InferenceError(f'input "{name}": unknown datatype {sent!r}, expected {spec.datatype}')
    if (sent == "BYTES") != (spec.datatype == "BYTES"):
        raise InferenceError(f'input "{name}": expected datatype {spec.datatype}, got {sent}')
    shape = tuple(tensor.shape)
    _check_shape(shape, spec)
    data: object = tensor.data
    # What came in binary is an array already.
    flat = cast("Array", data) if isinstance(data, np.ndarray) else _flatten(data, shape, name)
    if len(flat) != prod(shape):
        raise InferenceError(
            f'input "{name}": shape {list(shape)} holds {prod(shape)} elements, but data has {len(flat)}'
        )
    if spec.datatype == "BYTES":
        array = _strings(flat, name, missing=missing)
    elif isinstance(flat, np.ndarray):
        array = _fit(flat, sent, spec)
    else:
        array = _numbers(flat, sent, spec, missing=missing)
    return array if len(spec.shape) == 1 else array.reshape(shape)


def _check_shape(shape: tuple[int, ...], spec: TensorSpec) -> None:
    wanted = spec.shape
    is_column = len(wanted) == 1 and len(shape) == 2 and shape[1] == 1
    if len(shape) != len(wanted) and not is_column:
        raise InferenceError(
            f'input "{spec.name}": expected shape {list(wanted)} ({len(wanted)} axes), '
            f"got {list(shape)} ({len(shape)} axes)"
        )
    for axis, (size, want) in enumerate(zip(shape, wanted, strict=False)):
        if size < 1:
            what = "an empty batch" if axis == 0 and size == 0 else f"a size of {size} on axis {axis}"
            raise InferenceError(
                f'input "{spec.name}": {what} is not allowed (shape {list(shape)}, expected {list(wanted)})'
            )
        if want not in (-1, size):
            raise InferenceError(
                f'input "{spec.name}": expected {want} values on axis {axis}, got {size} '
                f"(shape {list(shape)}, expected {list(wanted)})"
            )


def _flatten(data: object, shape: tuple[int, ...], name: str) -> list[Any]:
    """The elements in row order; `data` is flat, or nested exactly as `shape` says."""
    root = getattr(data, "root", data)
    if not isinstance(root, list):
        raise InferenceError(f'input "{name}": data must be a list, got {_word(type(root))}')
    flat: list[Any] = root
    if not (flat and type(flat[0]) is list):
        return flat
    for depth in range(len(shape)):
        if len(flat) != prod(shape[: depth + 1]):
            raise InferenceError(f'input "{name}": data is nested, but not as its shape {list(shape)} says')
        if depth == len(shape) - 1:
            return flat
        inner = shape[depth + 1]
        if any(type(row) is not list or len(row) != inner for row in flat):
            raise InferenceError(
                f'input "{name}": data is ragged: expected lists of {inner} at depth {depth + 1} '
                f"(shape {list(shape)})"
            )
        flat = list(chain.from_iterable(flat))
    return flat


def _numbers(flat: Sequence[Any], sent: str, spec: TensorSpec, *, missing: bool) -> Array:
    found = set(map(type, flat))
    dtype = NUMPY[spec.datatype]
    if not found <= _ACCEPTS[sent]:
        wrong = found - _ACCEPTS[sent]
        if not (missing and wrong == {_NONE} and dtype.kind == "f"):
            raise _misfit(flat, wrong, sent, spec.name)
        flat = [np.nan if value is None else value for value in flat]
    try:
        # Through the sent type first: 300 is no INT8, whatever the model would make of it.
        source = np.array(flat, dtype=NUMPY[sent] if sent in INTEGERS else np.float64)
    except (OverflowError, ValueError):
        raise InferenceError(f'input "{spec.name}": a number does not fit in {sent}') from None
    return _fit(source, sent, spec)


def _fit(source: Array, sent: str, spec: TensorSpec) -> Array:
    """The numbers in the dtype of the model. Raises InferenceError for one that it does not hold."""
    dtype = NUMPY[spec.datatype]
    if dtype.kind == "b" and sent != "BOOL":
        raise InferenceError(f'input "{spec.name}": expected datatype BOOL, got {sent}')
    if source.dtype == dtype:
        return source
    with np.errstate(invalid="ignore", over="ignore"):
        array = source.astype(dtype)
    lost = np.isinf(array) & ~np.isinf(source) if dtype.kind == "f" else array != source
    if lost.any():
        value = source[int(np.argmax(lost))].item()
        raise InferenceError(f'input "{spec.name}": {value!r} does not fit in {spec.datatype}')
    return array


def _strings(flat: Sequence[Any] | Array, name: str, *, missing: bool) -> Array:
    found = set(map(type, flat))
    wrong = found - _ACCEPTS["BYTES"]
    if wrong and not (missing and wrong == {_NONE}):
        raise _misfit(flat, wrong, "BYTES", name)
    array = np.empty(len(flat), dtype=object)
    try:
        array[:] = [value.decode() if type(value) is bytes else value for value in flat]
    except UnicodeDecodeError:
        raise InferenceError(f'input "{name}": a string is not valid UTF-8') from None
    return array


def _misfit(flat: Sequence[Any] | Array, wrong: set[type], sent: str, name: str) -> InferenceError:
    position = next(index for index, value in enumerate(flat) if type(value) in wrong)
    return InferenceError(
        f'input "{name}": expected {sent} values, got {_word(type(flat[position]))} at position {position}'
    )


def _word(kind: type) -> str:
    return _WORDS.get(kind, kind.__name__)


def encode(name: str, array: Array) -> ResponseOutput:
    """The V2 tensor of an array. [n] is answered as [n, 1], as MLServer's own codecs do."""
    datatype = datatype_of(array)
    shape = [*array.shape, 1] if array.ndim == 1 else list(array.shape)
    values: list[Any] = array.ravel().tolist()
    if datatype == "BYTES":
        values = [value if type(value) is bytes else str(value).encode() for value in values]
    # Not validated again: the values come from numpy, and checking them costs more than making them.
    return ResponseOutput.model_construct(
        name=name,
        datatype=datatype,
        shape=shape,
        parameters=_STRINGS if datatype == "BYTES" else _NUMBERS,
        data=TensorData.model_construct(values),
    )
