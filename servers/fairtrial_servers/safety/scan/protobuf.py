"""The wire format of protocol buffers, as far as finding a field by its number."""

from __future__ import annotations

from collections.abc import Iterator

from fairtrial_servers.safety.scan.findings import Unreadable

Message = memoryview


def fields(message: Message) -> Iterator[tuple[int, Message | int]]:
    """Number and value of each field in order; a value is bytes, or a whole number. Raises Unreadable."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise Unreadable("a field in it has no number")
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == 2:
            size, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise Unreadable("a field in it is of no known kind")
        if size > end - at:
            raise Unreadable("it is cut off, or no protocol buffer")
        yield number, message[at : at + size]
        at += size


def messages(message: Message, *path: int) -> Iterator[Message]:
    """All messages (or texts) at a path of field numbers."""
    if not path:
        yield message
        return
    for number, value in fields(message):
        if number == path[0] and not isinstance(value, int):
            yield from messages(value, *path[1:])


def texts(message: Message, *path: int) -> Iterator[str]:
    for found in messages(message, *path):
        yield bytes(found).decode("utf-8", "replace")


def text(message: Message, *path: int) -> str:
    """The last one of that field, as a parser takes it; "" for none."""
    last = ""
    for last in texts(message, *path):  # noqa: B007
        pass
    return last


def _varint(message: Message, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise Unreadable("it is cut off, or no protocol buffer")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
