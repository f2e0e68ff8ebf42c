"""Between payloads of the Open Inference Protocol (V2, as JSON) and seldon messages.

One tensor is an array of its shape. Several tensors with one value a row each are the columns of a table,
under their names. What seldon messages have no place for (id, names, datatypes) goes to `meta.tags` under
`v2`, and from there back into the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from fairtrial_graph_components.policies.payloads import (
    Message,
    Payload,
    flat,
    nested,
    number_of,
    object_of,
    payload_of,
    shape_of,
    tags_of,
)
from fairtrial_graph_components.policies.refusal import Refused

WHOLE = {f"{kind}{bits}": (kind, bits) for kind in ("INT", "UINT") for bits in (8, 16, 32, 64)}
REAL = ("FP16", "FP32", "FP64")
TAG = "v2"


def v2_part(message: object) -> Mapping[str, Any] | None:
    """The V2 body that a message is, or has as its jsonData; None for any other message."""
    fields = object_of(message, "the message")
    for body in (fields, fields.get("jsonData")):
        if isinstance(body, dict) and ("inputs" in body or "outputs" in body):
            return cast(Mapping[str, Any], body)
    return None


def seldon_of(body: Mapping[str, Any]) -> tuple[Payload, Message]:
    """The payload, and what to remember of the body. Raises Refused."""
    tensors = body.get("inputs", body.get("outputs"))
    if not isinstance(tensors, list) or not tensors:
        raise Refused("inputs must be a list of tensors")
    read = [_read(tensor) for tensor in cast(list[Any], tensors)]
    names = [name for name, _, _, _ in read]
    if len(set(names)) != len(names):
        raise Refused("the tensors must have different names")
    remembered: Message = {"datatypes": {name: datatype for name, datatype, _, _ in read}}
    if isinstance(body.get("id"), str):
        remembered["id"] = body["id"]
    if len(read) == 1:
        name, datatype, shape, cells = read[0]
        remembered["name"] = name
        # A tensor of seldon's has doubles only: whole numbers and all else keep their kind in an ndarray.
        return Payload("tensor" if datatype in REAL else "ndarray", nested(cells, shape), []), remembered
    rows = {shape[0] for _, _, shape, _ in read}
    if len(rows) > 1 or any(math.prod(shape[1:]) != 1 for _, _, shape, _ in read):
        raise Refused("several tensors must have one value for each row, and equally many rows")
    return Payload(
        "ndarray", [list(row) for row in zip(*(cells for *_, cells in read), strict=True)], names
    ), remembered


def v2_of(message: object, *, field: str, model: str, datatype: str = "") -> Message:
    """A V2 body with the tensors under `field`, "inputs" or "outputs". Raises Refused."""
    payload = payload_of(message)
    remembered = tags_of(message).get(TAG)
    kept = cast(Mapping[str, Any], remembered) if isinstance(remembered, dict) else {}
    body: Message = {field: _tensors(payload, kept, field, datatype)}
    if isinstance(kept.get("id"), str):
        body["id"] = kept["id"]
    if field == "outputs":
        body["model_name"] = model
    return body


def _tensors(payload: Payload, kept: Mapping[str, Any], field: str, datatype: str) -> list[Message]:
    if payload.kind == "binData":
        parameters = {"parameters": {"content_type": "base64"}}
        return [{"name": "binData", "datatype": "BYTES", "shape": [1], "data": [payload.value], **parameters}]
    if payload.kind == "strData":
        return [_tensor(str(kept.get("name", "strData")), [payload.value], (1,), "BYTES")]
    if payload.kind == "jsonData":
        raise Refused("jsonData that is no V2 body has no shape: send data.ndarray, data.tensor or strData")
    known = kept.get("datatypes")
    datatypes = cast(Mapping[str, Any], known) if isinstance(known, dict) else {}
    shape, names = shape_of(payload.value), payload.names
    if len(names) != (shape[1] if len(shape) == 2 else 0) or not names:
        # An answer is not of the request's tensor; its datatype is what its values are.
        name = str(kept.get("name", "predict")) if field == "inputs" else "predict"
        return [_tensor(name, flat(payload.value), shape, datatype or str(datatypes.get(name, "")))]
    columns = zip(*payload.value, strict=True) if shape[0] else [()] * len(names)
    return [
        _tensor(name, list(cells), (shape[0], 1), datatype or str(datatypes.get(name, "")))
        for name, cells in zip(names, columns, strict=True)
    ]


def _tensor(name: str, cells: list[Any], shape: tuple[int, ...], datatype: str) -> Message:
    datatype = datatype or _datatype_of(cells)
    # gRPC's JSON has doubles only: 7.0 is the whole number it was.
    if datatype in WHOLE:
        cells = [int(cell) if isinstance(cell, float) and cell.is_integer() else cell for cell in cells]
    _check(name, datatype, cells)
    return {"name": name, "datatype": datatype, "shape": list(shape), "data": cells}


def _datatype_of(cells: Sequence[object]) -> str:
    kinds = {type(cell) for cell in cells}
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int}:
        return "INT64"
    if kinds == {str}:
        return "BYTES"
    if kinds <= {int, float}:
        return "FP64"
    raise Refused("a tensor's values must be all numbers, all strings or all booleans")


def _read(tensor: object) -> tuple[str, str, tuple[int, ...], list[Any]]:
    """Name, datatype, shape and cells of a tensor."""
    fields = object_of(tensor, "a tensor")
    name, datatype, shape = fields.get("name"), fields.get("datatype"), fields.get("shape")
    if not isinstance(name, str) or not name:
        raise Refused("a tensor has no name")
    if not isinstance(shape, list) or not shape or not all(_is_size(size) for size in cast(list[Any], shape)):
        raise Refused(f"tensor {name}: shape must be a list of whole numbers from 0 on")
    if not isinstance(datatype, str):
        raise Refused(f"tensor {name} has no datatype")
    if not isinstance(fields.get("data"), list):
        raise Refused(f"tensor {name} has no list of data (binary data is not read)")
    cells = flat(fields["data"])
    sizes = tuple(int(size) for size in cast(list[Any], shape))
    if len(cells) != math.prod(sizes):
        raise Refused(
            f"tensor {name} has {len(cells)} values, and its shape {list(sizes)} takes {math.prod(sizes)}"
        )
    if datatype in WHOLE:
        cells = [int(cell) if isinstance(cell, float) and cell.is_integer() else cell for cell in cells]
    _check(name, datatype, cells)
    return name, datatype, sizes, cells


def _is_size(size: object) -> bool:
    return not isinstance(size, bool) and isinstance(size, int | float) and size >= 0 and size == int(size)


def _check(name: str, datatype: str, cells: Sequence[Any]) -> None:
    """Each cell is a value of the datatype."""
    try:
        for cell in cells:
            _check_cell(datatype, cell)
    except Refused as refused:
        raise Refused(f"tensor {name}: {refused}") from None


def _check_cell(datatype: str, cell: object) -> None:
    if datatype in WHOLE:
        _check_whole(cell, *WHOLE[datatype])
    elif datatype in REAL:
        number_of(cell)
    elif datatype not in ("BOOL", "BYTES"):
        raise Refused(f"datatype {datatype!r} is not known")
    elif not isinstance(cell, bool if datatype == "BOOL" else str):
        raise Refused(f"{cell!r} is no {datatype}")


def _check_whole(cell: object, kind: str, bits: int) -> None:
    low, high = (0, 2**bits) if kind == "UINT" else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    if isinstance(cell, bool) or not isinstance(cell, int) or not low <= cell < high:
        raise Refused(f"{cell!r} is no {kind}{bits}")
