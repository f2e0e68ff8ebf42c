"""Inference requests and answers of the Open Inference Protocol as plain data, whatever carried them.

They are read by msgspec, which checks types while it parses, at a third of what MLServer's pydantic models
cost: those check the elements of each tensor one by one, before `tensors.decode` does.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson
from mlserver.errors import InferenceError

from fairtrial_servers.tensor_specs import Array, datatype_of

#: JSON object.
Parameters = dict[str, Any]


class Tensor(msgspec.Struct):
    """One input as it was sent. `data` is a list, flat or nested; or a flat array if it came in binary."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters | None = None
    data: Any = None


class Wanted(msgspec.Struct):
    """One output that is asked for."""

    name: str
    parameters: Parameters | None = None


class Request(msgspec.Struct):
    inputs: list[Tensor]
    outputs: list[Wanted] | None = None
    id: str | None = None
    parameters: Parameters | None = None


@dataclass(slots=True)
class Answer:
    """What a model gave. `outputs`: name and array, in the order in which they were asked for."""

    model_name: str
    model_version: str | None
    id: str
    outputs: Sequence[tuple[str, Array]]
    parameters: Parameters = field(default_factory=dict[str, Any])


_read = msgspec.json.Decoder(Request).decode


def read(body: bytes | memoryview) -> Request:
    """The request in a JSON document. Raises InferenceError, which says where it is wrong."""
    try:
        return _read(body)
    except msgspec.ValidationError as error:
        raise InferenceError(_misfit(str(error))) from None
    except msgspec.DecodeError as error:
        said = str(error).removeprefix("JSON is malformed: ")
        raise InferenceError(f"the body is not valid JSON: {said[:1].lower()}{said[1:]}") from None
    except RecursionError:
        raise InferenceError("the body is not valid JSON: it is nested too deeply") from None
    except UnicodeDecodeError:
        raise InferenceError("the body is not valid JSON: a string is not valid UTF-8") from None
    except ValueError as error:  # a number with more digits than Python reads
        raise InferenceError(f"the body cannot be read: {error}") from None


def _misfit(said: str) -> str:
    """msgspec's "Expected `int`, got `str` - at `$.inputs[0].shape`" as "inputs[0].shape: expected ..."."""
    what, _, where = said.partition(" - at ")
    place = where.strip("`").removeprefix("$").removeprefix(".") or "the body"
    return f"{place}: {what[:1].lower()}{what[1:].replace('`', '')}"


def to_json(answer: Answer) -> bytes:
    """The answer as a JSON document; what is no finite number becomes null, as JSON has no word for it."""
    return document(answer, [tensor(name, array) for name, array in answer.outputs])


def document(answer: Answer, outputs: list[dict[str, Any]]) -> bytes:
    """The JSON of an answer whose outputs are these."""
    said: dict[str, Any] = {"model_name": answer.model_name, "id": answer.id, "outputs": outputs}
    if answer.model_version:
        said["model_version"] = answer.model_version
    if answer.parameters:
        said["parameters"] = answer.parameters
    return orjson.dumps(said, option=orjson.OPT_SERIALIZE_NUMPY)


def tensor(name: str, array: Array) -> dict[str, Any]:
    """The JSON object of one output. [n] is answered as [n, 1], as MLServer's own codecs do."""
    datatype = datatype_of(array)
    content = "np"
    if datatype == "BYTES":
        content, data = _strings(array)
    else:
        # orjson writes arrays as they are in memory: one flat run of the machine's own byte order.
        data = array.ravel() if array.dtype.isnative else array.astype(array.dtype.newbyteorder("=")).ravel()
    shape = answered_shape(array)
    parameters = {"content_type": content}
    return {"name": name, "shape": shape, "datatype": datatype, "parameters": parameters, "data": data}


def answered_shape(array: Array) -> list[int]:
    return [*array.shape, 1] if array.ndim == 1 else list(array.shape)


def as_bytes(array: Array) -> list[bytes]:
    """The elements of an array that is answered as BYTES, in row order."""
    return [value if type(value) is bytes else str(value).encode() for value in array.ravel().tolist()]


def _strings(array: Array) -> tuple[str, list[str]]:
    values = as_bytes(array)
    try:
        return "str", [value.decode() for value in values]
    except UnicodeDecodeError:  # JSON holds text only
        return "base64", [base64.b64encode(value).decode() for value in values]
