"""Messages in protobuf, as they go over gRPC. Pure.

Only the fields that the executor needs are looked at, by their numbers in `grpc_service.proto` of the Open
Inference Protocol and in Seldon Core's `prediction.proto`. What else is in a message passes as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fairtrial_graphs.backends.local.executor import wire
from fairtrial_graphs.backends.local.executor.messages import ALL_CHILDREN, BadMessage, Message

PROTOBUF = "application/protobuf"

# ModelInferRequest and ModelInferResponse.
_MODEL_NAME = 1
_PARAMETERS, _OUTPUTS, _RAW_OUTPUTS = 4, 5, 6
#: By the field of an answer: that of a request. An output's own fields are numbered as an input's.
_CHAINED = {_PARAMETERS: 4, _OUTPUTS: 5, _RAW_OUTPUTS: 7}

# SeldonMessage, and what is in it.
_META, _DATA = 2, 3
_TENSOR, _NDARRAY, _TFTENSOR = 2, 3, 4
_TENSOR_VALUES = 2
_NUMBER_VALUE, _LIST_VALUE = 2, 6  # google.protobuf.Value
_ROUTING = 3
_KEY, _VALUE = 1, 2  # of a map's entries
_FEEDBACKS_RESPONSE = 2
_LISTED = 1  # in SeldonMessageList


@dataclass(frozen=True)
class ProtobufPayloads:
    protocol: Literal["seldon", "v2"]

    def chained(self, message: Message) -> Message:
        if self.protocol == "seldon" or not message.answered:
            return message
        fields = [
            field._replace(number=_CHAINED[field.number])
            for field in wire.read(message.body)
            if field.number in _CHAINED
        ]
        return protobuf(wire.written(fields))

    def combined(self, messages: Sequence[Message]) -> Message:
        return protobuf(wire.written(wire.nested(_LISTED, message.body) for message in messages))

    def route_in(self, message: Message) -> int:
        data = wire.last(wire.read(message.body), _DATA)
        held = data and wire.last(wire.read(data.bytes), _TENSOR, _NDARRAY, _TFTENSOR)
        if not held:
            return ALL_CHILDREN
        if held.number == _TENSOR:
            number = next((f.bytes[:8] for f in wire.read(held.bytes) if f.number == _TENSOR_VALUES), b"")
        elif held.number == _NDARRAY:
            number = _first_number(held.bytes)
        else:
            raise BadMessage("a router answered with a tftensor, which is not read here")
        if len(number) != 8:
            raise BadMessage("a router answered with no branch")
        try:
            return int(struct.unpack("<d", number)[0])
        except (ValueError, OverflowError) as error:
            raise BadMessage("a router answered with no branch") from error

    def route_of_feedback(self, message: Message, node: str) -> int:
        response = wire.last(wire.read(message.body), _FEEDBACKS_RESPONSE)
        meta = response and wire.last(wire.read(response.bytes), _META)
        route = ALL_CHILDREN
        for entry in wire.read(meta.bytes) if meta else ():
            if entry.number == _ROUTING:
                pair = wire.read(entry.bytes)
                key, value = wire.last(pair, _KEY), wire.last(pair, _VALUE)
                if key and key.bytes == node.encode():
                    route = value.int32 if value else 0
        return route

    def with_routing(self, message: Message, routing: Mapping[str, int]) -> Message:
        if self.protocol == "v2":
            return message  # which has no meta
        fields = wire.read(message.body)
        meta = wire.last(fields, _META)
        kept = [field for field in wire.read(meta.bytes) if field.number != _ROUTING] if meta else []
        way = [
            wire.nested(_ROUTING, wire.written([wire.text(_KEY, node), wire.whole(_VALUE, branch)]))
            for node, branch in routing.items()
        ]
        rest = [field for field in fields if field.number != _META]
        return protobuf(wire.written([*rest, wire.nested(_META, wire.written([*kept, *way]))]))

    def simple_model(self) -> Message:
        raise BadMessage("SIMPLE_MODEL answers over REST only")

    def averaged(self, _: Sequence[Message]) -> Message:
        raise BadMessage("AVERAGE_COMBINER answers over REST only")


def protobuf(body: bytes, *, answered: bool = False) -> Message:
    return Message(body, PROTOBUF, answered=answered)


def named(message: bytes, name: str) -> bytes:
    """The same request with this model name, whichever of V2's requests it is. Raises BadMessage."""
    rest = [field for field in wire.read(message) if field.number != _MODEL_NAME]
    return wire.written([wire.text(_MODEL_NAME, name), *rest])


def name_in(message: bytes) -> str:
    """The model that one of V2's requests names. Raises BadMessage."""
    field = wire.last(wire.read(message), _MODEL_NAME)
    return field.bytes.decode(errors="replace") if field else ""


def _first_number(list_value: bytes) -> bytes:
    """The first number, as the 8 bytes of a double, in a ListValue or in a list that is its first element."""
    for _ in range(2):
        first = next((field.bytes for field in wire.read(list_value)), b"")
        held = wire.last(wire.read(first), _NUMBER_VALUE, _LIST_VALUE)
        if held is None:
            return b""
        if held.number == _NUMBER_VALUE:
            return held.bytes
        list_value = held.bytes
    return b""
