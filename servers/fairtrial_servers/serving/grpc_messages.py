"""gRPC's inference messages as our requests and answers.

Contents are typed lists or raw bytes. Raw bytes become arrays as they are, with no object for each element.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlserver.errors import InferenceError
from mlserver.grpc import dataplane_pb2 as pb

from fairtrial_servers.serving.binary import check_lengths, pack, unpack
from fairtrial_servers.serving.messages import (
    Answer,
    Parameters,
    Request,
    Tensor,
    Wanted,
    answered_shape,
    as_bytes,
)
from fairtrial_servers.tensor_specs import Array, datatype_of

#: Where a datatype's elements go. FP16 has no typed field: it travels in raw contents only.
_FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    **{name: f"{name.lower()}_contents" for name in ("INT64", "UINT64", "FP32", "FP64", "BYTES")},
}


def to_request(message: pb.ModelInferRequest) -> Request:
    """Raises InferenceError."""
    inputs = [_tensor(entry) for entry in message.inputs]
    if message.raw_input_contents:
        bare = [entry for entry in inputs if entry.data is None]
        check_lengths(bare, message.raw_input_contents)
        for entry, raw in zip(bare, message.raw_input_contents, strict=True):
            entry.data = unpack(entry, raw)
    for entry in inputs:
        if entry.data is None:
            entry.data = []
    return Request(
        inputs=inputs,
        outputs=[Wanted(entry.name, _parameters(entry.parameters)) for entry in message.outputs],
        id=message.id or None,
        parameters=_parameters(message.parameters),
    )


def _tensor(entry: pb.ModelInferRequest.InferInputTensor) -> Tensor:
    filled = entry.contents.ListFields()
    if len(filled) > 1:
        names = " and ".join(field.name for field, _ in filled)
        raise InferenceError(f'input "{entry.name}": its contents are in one field only, not in {names}')
    data = list(filled[0][1]) if filled else None
    return Tensor(entry.name, list(entry.shape), entry.datatype, _parameters(entry.parameters), data)


def _parameters(said: Mapping[str, pb.InferParameter]) -> Parameters | None:
    if not said:
        return None
    values: Parameters = {}
    for name, value in said.items():
        which = value.WhichOneof("parameter_choice")
        values[name] = getattr(value, which) if which else None
    return values


def to_response(answer: Answer, raw: bool) -> pb.ModelInferResponse:
    """The answer as a message; in raw contents when `raw`, or when an output has no other form."""
    response = pb.ModelInferResponse(model_name=answer.model_name, id=answer.id)
    if answer.model_version:
        response.model_version = answer.model_version
    for name, value in answer.parameters.items():
        response.parameters[name].CopyFrom(_parameter(value))
    raw = raw or any(datatype_of(array) not in _FIELDS for _, array in answer.outputs)
    for name, array in answer.outputs:
        datatype = datatype_of(array)
        entry = response.outputs.add(name=name, datatype=datatype, shape=answered_shape(array))
        entry.parameters["content_type"].string_param = "str" if datatype == "BYTES" else "np"
        if raw:
            response.raw_output_contents.append(pack(array))
        else:
            getattr(entry.contents, _FIELDS[datatype]).extend(_elements(array, datatype))
    return response


def _elements(array: Array, datatype: str) -> list[Any]:
    return as_bytes(array) if datatype == "BYTES" else array.ravel().tolist()


def _parameter(value: object) -> pb.InferParameter:
    if isinstance(value, bool):
        return pb.InferParameter(bool_param=value)
    if isinstance(value, int):
        return pb.InferParameter(int64_param=value)
    return pb.InferParameter(string_param=str(value))
