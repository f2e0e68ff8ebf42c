"""The messages of V2 over gRPC, as bytes: what a load sends, and what of an answer it reads.

Protocol Buffers by hand: a load has two kinds of requests and two of answers, each request is written once
and sent many times, and of an answer a few fields are read.
The field numbers are those of `grpc_predict_v2.proto` of the Open Inference Protocol.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.v2 import ModelMetadata, TensorSpec

# By datatype: the field of InferTensorContents, and how its values are packed; None: as varints.
_CONTENTS: dict[str, tuple[int, str | None]] = {
    "BOOL": (1, None), "INT8": (2, None), "INT16": (2, None), "INT32": (2, None), "INT64": (3, None),
    "UINT8": (4, None), "UINT16": (4, None), "UINT32": (4, None), "UINT64": (5, None),
    "FP32": (6, "<f4"), "FP64": (7, "<f8"),
}  # fmt: skip
_RAW = {
    "BOOL": "?", "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "<u1",
    "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIGN = 1 << 63


def infer_request(model: str, body: bytes) -> bytes:
    """ModelInferRequest of a V2 JSON body. Raises BadLoadError for a datatype that has no field."""
    tensors = b"".join(_field(5, _tensor(tensor)) for tensor in orjson.loads(body)["inputs"])
    return _text(1, model) + tensors


def metadata_request(model: str) -> bytes:
    """ModelMetadataRequest."""
    return _text(1, model)


def read_infer_response(message: bytes) -> dict[str, Any]:
    """What a ModelInferResponse says, in the words of V2's JSON. Raises ValueError for what is none."""
    model, outputs, raw = "", [], []
    for number, value in _fields(message):
        if number == 1:
            model = _utf8(value)
        elif number == 5:
            outputs.append(_output(_message(value)))
        elif number == 6:
            raw.append(_message(value))
    for output, content in zip(outputs, raw, strict=False):
        output["data"] = _from_raw(output["datatype"], content)
    return {"model_name": model, "outputs": outputs}


def read_metadata_response(message: bytes) -> ModelMetadata:
    """What a ModelMetadataResponse says. Raises ValueError for what is none."""
    return ModelMetadata(tuple(_spec(_message(value)) for number, value in _fields(message) if number == 4))


def _tensor(tensor: dict[str, Any]) -> bytes:
    datatype, data = tensor["datatype"], tensor["data"]
    shape = b"".join(map(_varint, tensor["shape"]))
    if datatype == "BYTES":
        contents = b"".join(_field(8, str(value).encode()) for value in data)
    elif (packed := _CONTENTS.get(datatype)) is not None:
        number, form = packed
        values = b"".join(_varint(int(v)) for v in data) if form is None else np.asarray(data, form).tobytes()
        contents = _field(number, values)
    else:
        raise BadLoadError(f"V2 over gRPC has no field for {datatype} values: load this model by REST.")
    return _text(1, tensor["name"]) + _text(2, datatype) + _field(3, shape) + _field(5, contents)


def _output(tensor: bytes) -> dict[str, Any]:
    output: dict[str, Any] = {"name": "", "datatype": "", "data": []}
    for number, value in _fields(tensor):
        if number in (1, 2):
            output["name" if number == 1 else "datatype"] = _utf8(value)
        elif number == 5:
            output["data"] = _contents(_message(value))
    return output


def _contents(contents: bytes) -> list[Any]:
    found: list[Any] = []
    for number, value in _fields(contents):
        if number == 8:
            found.append(_message(value).decode("utf-8", "replace"))
        elif number in (6, 7):
            form = "<f4" if number == 6 else "<f8"
            found += (
                np.frombuffer(value, form).tolist() if isinstance(value, bytes) else [_float(value, form)]
            )
        elif isinstance(value, bytes):
            found += [_signed(each, number) for each in _varints(value)]
        else:
            found.append(_signed(value, number))
    return found


def _spec(tensor: bytes) -> TensorSpec:
    name, datatype, any_name = "", "", False
    shape: list[int] = []
    for number, value in _fields(tensor):
        if number == 1:
            name = _utf8(value)
        elif number == 2:
            datatype = _utf8(value)
        elif number == 3:
            shape += [_signed(n, 3) for n in (_varints(value) if isinstance(value, bytes) else [value])]
        elif number == 4:  # an entry of the map of parameters: a key, and a value whose first field is a bool
            entry = dict(_fields(_message(value)))
            any_name |= entry.get(1) == b"any_name" and dict(_fields(_message(entry.get(2, b"")))).get(1) == 1
    return TensorSpec(name, datatype, tuple(shape), any_name)


def _from_raw(datatype: str, content: bytes) -> list[Any]:
    if datatype == "BYTES":
        texts: list[str] = []
        while content:
            (length,) = struct.unpack_from("<I", content)
            texts.append(content[4 : 4 + length].decode("utf-8", "replace"))
            content = content[4 + length :]
        return texts
    return np.frombuffer(content, _RAW[datatype]).tolist()


# ---- the encoding


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers are sent as what they are modulo 2^64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode()) if text else b""


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field; a value of fixed size is its number, as bits. Raises ValueError."""
    place = 0
    while place < len(message):
        key, place = _read_varint(message, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _read_varint(message, place)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, place = _read_varint(message, place)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError("a field of an unknown kind")
        content = message[place : place + size]
        if len(content) != size:
            raise ValueError("the message ends within a field")
        place += size
        yield key >> 3, content if kind == _BYTES else int.from_bytes(content, "little")


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if place >= len(message):
            raise ValueError("the message ends within a number")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("a number of more than 64 bits")


def _varints(packed: bytes) -> list[int]:
    found: list[int] = []
    place = 0
    while place < len(packed):
        value, place = _read_varint(packed, place)
        found.append(value)
    return found


def _signed(value: int, number: int) -> Any:
    if number == 1:
        return bool(value)
    return value - 2 * _SIGN if number in (2, 3) and value >= _SIGN else value


def _float(bits: int, form: str) -> float:
    return float(np.frombuffer(bits.to_bytes(4 if form == "<f4" else 8, "little"), form)[0])


def _message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where a message is expected")  # noqa: TRY004
    return value


def _utf8(value: int | bytes) -> str:
    return _message(value).decode("utf-8", "replace")
