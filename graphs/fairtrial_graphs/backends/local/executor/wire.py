"""Protobuf's wire format, one message deep: enough to read or replace a field, whatever the rest is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from fairtrial_graphs.backends.local.executor.messages import BadMessage

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LENGTHS = {_FIXED64: 8, _FIXED32: 4}
_TRUNCATED = "the message is no protobuf: it ends in the middle of a field"


class Field(NamedTuple):
    """`value` of a varint is the number as it is written: a negative one has 64 bits."""

    number: int
    type: Literal[0, 1, 2, 5]
    value: int | bytes

    @property
    def bytes(self) -> bytes:
        """Raises BadMessage for a number."""
        if isinstance(self.value, int):
            raise BadMessage(f"field {self.number} of the message is a number, and should not be")
        return self.value

    @property
    def int32(self) -> int:
        """Raises BadMessage for anything but a number."""
        if not isinstance(self.value, int):
            raise BadMessage(f"field {self.number} of the message should be a number")
        return (self.value + 2**31) % 2**32 - 2**31


def text(number: int, value: str) -> Field:
    return Field(number, _BYTES, value.encode())


def nested(number: int, value: bytes) -> Field:
    return Field(number, _BYTES, value)


def whole(number: int, value: int) -> Field:
    return Field(number, _VARINT, value % 2**64)


def read(message: bytes) -> list[Field]:
    """The fields of a message, in their order. Raises BadMessage."""
    fields: list[Field] = []
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            fields.append(Field(number, _VARINT, value))
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in _LENGTHS:
            length = _LENGTHS[kind]
        else:
            raise BadMessage(f"the message is no protobuf: there is no wire type {kind}")
        if at + length > len(message):
            raise BadMessage(_TRUNCATED)
        fields.append(Field(number, kind, message[at : at + length]))  # pyright: ignore[reportArgumentType]
        at += length
    return fields


def written(fields: Iterable[Field]) -> bytes:
    parts: list[bytes] = []
    for number, kind, value in fields:
        parts.append(_written_varint(number << 3 | kind))
        if isinstance(value, int):
            parts.append(_written_varint(value))
        else:
            if kind == _BYTES:
                parts.append(_written_varint(len(value)))
            parts.append(value)
    return b"".join(parts)


def last(fields: Iterable[Field], *numbers: int) -> Field | None:
    """The field that counts where only one of these can be there: the last one."""
    found = None
    for field in fields:
        if field.number in numbers:
            found = field
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The number, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise BadMessage(_TRUNCATED)
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value % 2**64, at
    raise BadMessage("the message is no protobuf: a number has more than 64 bits")


def _written_varint(value: int) -> bytes:
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
