"""Tensors as bytes: little-endian elements in row order, and strings with their lengths before them.

gRPC carries them in `raw_input_contents`; over REST they follow the JSON document, as the protocol's binary
tensor data extension has it (`Inference-Header-Content-Length` says how long the JSON is).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from mlserver.errors import InferenceError

from fairtrial_servers.serving.messages import (
    Answer,
    Request,
    Tensor,
    answered_shape,
    as_bytes,
    document,
    read,
    tensor,
)
from fairtrial_servers.tensor_specs import NUMPY, Array, datatype_of

#: The header that says how many bytes of a body are JSON.
HEADER = "inference-header-content-length"


def unpack(entry: Tensor, raw: bytes | memoryview) -> Array:
    """The flat array in `raw`, of the tensor's own datatype; strings are bytes. Raises InferenceError."""
    dtype = NUMPY.get(entry.datatype)
    if dtype is None:
        raise InferenceError(f'input "{entry.name}": unknown datatype {entry.datatype!r}')
    if any(size < 0 for size in entry.shape):
        raise InferenceError(f'input "{entry.name}": the shape {entry.shape} has a negative size')
    count = prod(entry.shape)
    if entry.datatype == "BYTES":
        return _unpack_strings(entry, raw, count)
    if len(raw) != count * dtype.itemsize:
        raise InferenceError(
            f'input "{entry.name}": shape {entry.shape} of {entry.datatype} is {count * dtype.itemsize} '
            f"bytes, got {len(raw)}"
        )
    # A copy, for a model may write to its input, and elements need not be aligned in the body.
    array = np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype)
    if dtype.kind == "b" and (np.frombuffer(raw, np.uint8) > 1).any():
        raise InferenceError(f'input "{entry.name}": a BOOL is a byte of 0 or 1')
    return array


def _unpack_strings(entry: Tensor, raw: bytes | memoryview, count: int) -> Array:
    values: list[bytes] = []
    position, end = 0, len(raw)
    while position < end:
        start = position + 4
        position = start + int.from_bytes(raw[position:start], "little")
        if start > end or position > end:
            raise InferenceError(
                f'input "{entry.name}": string {len(values)} is longer than the bytes that are left; each '
                f"string follows its length, 4 bytes, least first"
            )
        values.append(bytes(raw[start:position]))
    if len(values) != count:
        raise InferenceError(
            f'input "{entry.name}": shape {entry.shape} holds {count} strings, got {len(values)}'
        )
    array = np.empty(count, dtype=object)
    array[:] = values
    return array


def pack(array: Array) -> bytes:
    """An output as bytes."""
    if datatype_of(array) == "BYTES":
        return b"".join(len(value).to_bytes(4, "little") + value for value in as_bytes(array))
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def read_binary(body: bytes, said: str | None) -> Request:
    """The request in a REST body, of which `said` (the header HEADER) many bytes are JSON.

    Raises InferenceError.
    """
    if said is None:
        request = read(body)
        rest = memoryview(b"")
    else:
        length = int(said) if said.isascii() and said.isdecimal() and len(said) < 20 else -1
        if length < 0:
            raise InferenceError(f"the header {HEADER} is a number of bytes, not {said!r}")
        if length > len(body):
            raise InferenceError(
                f"the header {HEADER} says that {length} bytes are JSON, but the body has {len(body)}"
            )
        whole = memoryview(body)
        request, rest = read(whole[:length]), whole[length:]
    position = 0
    for entry in request.inputs:
        size = (entry.parameters or {}).get("binary_data_size")
        if size is None:
            continue
        _check_size(entry, size, len(rest) - position, said is not None)
        entry.data = unpack(entry, rest[position : position + size])
        position += size
    if position != len(rest):
        raise InferenceError(
            f"{len(rest)} bytes follow the JSON, but the inputs' binary_data_size say {position} in all"
        )
    return request


def _check_size(entry: Tensor, size: object, left: int, framed: bool) -> None:
    where = f'input "{entry.name}"'
    if type(size) is not int or size < 0:
        raise InferenceError(f"{where}: binary_data_size is a number of bytes, not {size!r}")
    if not framed:
        raise InferenceError(f"{where} has a binary_data_size, but the request no header {HEADER}")
    if entry.data is not None:
        raise InferenceError(f"{where} has both data and a binary_data_size")
    if size > left:
        raise InferenceError(f"{where}: binary_data_size says {size} bytes, but {left} are left in the body")


def wants_binary(request: Request) -> frozenset[str] | bool:
    """The outputs that are to be answered in binary: their names, or True or False for all alike.

    Raises InferenceError.
    """
    every = _flag(request.parameters, "binary_data_output", False)
    if not request.outputs:
        return every
    return frozenset(
        wanted.name for wanted in request.outputs if _flag(wanted.parameters, "binary_data", every)
    )


def _flag(parameters: dict[str, Any] | None, name: str, otherwise: bool) -> bool:
    said = (parameters or {}).get(name, otherwise)
    if type(said) is not bool:
        raise InferenceError(f"the parameter {name} is true or false, not {said!r}")
    return said


def to_binary(answer: Answer, which: frozenset[str] | bool) -> tuple[bytes, int]:
    """The REST body of an answer with these outputs in binary, and how many bytes of it are JSON."""
    outputs: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for name, array in answer.outputs:
        if which is not True and (which is False or name not in which):
            outputs.append(tensor(name, array))
            continue
        raw = pack(array)
        parts.append(raw)
        outputs.append(
            {"name": name, "shape": answered_shape(array), "datatype": datatype_of(array),
             "parameters": {"binary_data_size": len(raw)}}
        )  # fmt: skip
    head = document(answer, outputs)
    return b"".join([head, *parts]), len(head)


def check_lengths(entries: Sequence[Tensor], raws: Sequence[bytes]) -> None:
    """Raise InferenceError unless there are as many raw contents as inputs that have no others."""
    if len(entries) != len(raws):
        raise InferenceError(
            f"{len(entries)} inputs have no contents of their own, "
            f"but there are {len(raws)} raw_input_contents"
        )
