"""Reads the body of a REST request, within a limit and unpacked."""

from __future__ import annotations

import zlib

from mlserver.errors import InferenceError, MLServerError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

_GZIP = 16 + zlib.MAX_WBITS


class TooLargeError(MLServerError):
    """413."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the body is larger than the {limit} bytes that this server takes: send fewer rows at once, "
            f"or raise the parameter max_body",
            413,
        )


def check_length(declared: bytes | None, limit: int) -> None:
    """Raise TooLargeError for a content-length over the limit, before any of the body is read."""
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise TooLargeError(limit)


async def read_body(receive: Receive, encoding: str | None, limit: int) -> bytes:
    """The whole body. Raises TooLargeError, InferenceError (no gzip), MLServerError 415, ClientDisconnect."""
    message = await receive()
    body = message.get("body", b"")
    if message.get("more_body", False):
        parts, size = [body], len(body)
        while message.get("more_body", False):
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise TooLargeError(limit)
        body = b"".join(parts)
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    if len(body) > limit:
        raise TooLargeError(limit)
    if encoding is None or encoding == "identity":
        return body
    if encoding != "gzip":
        raise MLServerError(f"the content-encoding {encoding!r} is not known here: send gzip or none", 415)
    return _unzip(body, limit)


def _unzip(body: bytes, limit: int) -> bytes:
    """A body of one or more gzip members."""
    parts: list[bytes] = []
    size = 0
    while body or not parts:
        member = zlib.decompressobj(_GZIP)
        try:
            part = member.decompress(body, limit - size + 1)
        except zlib.error as error:
            raise InferenceError(f"the body says it is gzip, but is not: {error}") from error
        size += len(part)
        if size > limit:
            raise TooLargeError(limit)
        if not member.eof:
            raise InferenceError("the body says it is gzip, but it ends in the middle")
        parts.append(part)
        body = member.unused_data
    return b"".join(parts)


def limited(receive: Receive, limit: int) -> Receive:
    """`receive` for an app that reads the body itself. Raises HTTPException, which FastAPI lets through."""
    size = 0

    async def count() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise HTTPException(413, str(TooLargeError(limit)), {"connection": "close"})
        return message

    return count
