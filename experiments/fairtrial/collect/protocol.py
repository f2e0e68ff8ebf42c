"""HTTP by hand, on asyncio and httptools: a framework costs more than all else that an event costs.

Answers leave in the order of the requests of a connection, whenever they are known.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import httptools

_MOST_OPEN = 64  # requests of one connection without an answer, before it is read on
_MOST_HEAD = 64 << 10  # bytes of an address and headers
#: Headers that are read, as most clients write them and in lower case; others are not looked at.
_READ = (
    "ce-type", "ce-time", "ce-requestid", "ce-inferenceservicename", "ce-namespace", "ce-endpoint",
    "content-type", "expect", "authorization",
)  # fmt: skip
_NAMES = {written.encode(): name for name in _READ for written in (name, name.title())}
_TEXT = "text/plain; charset=utf-8"


@dataclass(slots=True)
class Request:
    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]  # those that are read; names in lower case
    body: bytes


@dataclass(slots=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str = _TEXT
    headers: tuple[tuple[str, str], ...] = ()


class Slot:
    """Where the answer to one request goes. To be used from the loop's thread, once."""

    __slots__ = ("_close", "_connection", "content")

    def __init__(self, connection: Connection, *, close: bool) -> None:
        self._connection = connection
        self._close = close
        self.content: bytes | None = None

    @property
    def closes(self) -> bool:
        return self._close

    def answer(self, response: Response) -> None:
        """Send it, once those before it have been sent."""
        self.content = _encoded(response, close=self._close)
        self._connection.flush()


#: Handles a request, and answers by the slot now or later.
Handler = Callable[[Request, Slot], None]


class Connection(asyncio.Protocol):
    """One connection of HTTP/1.1. `others` is the set of those that are open."""

    def __init__(self, handler: Handler, most_body: int, others: set[Connection]) -> None:
        self._handler = handler
        self._most_body = most_body
        self._others = others
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._slots: deque[Slot] = deque()
        self._paused = False
        self._refusing = False
        self._reset()

    # ---- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no class of asyncio
        self._parser = httptools.HttpRequestParser(self)
        self._others.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        self._others.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._refusing:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(HTTPStatus.BAD_REQUEST, "no other protocol is spoken here")
        except httptools.HttpParserError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f"this is no HTTP request: {error}")

    def pause_writing(self) -> None:
        """Whoever does not read what is answered is not read on either."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None and not self._paused:
            self._transport.resume_reading()

    def close_when_idle(self) -> None:
        """End it at once, or with the answers that are owed."""
        self._refusing = True
        if not self._slots and self._transport is not None:
            self._transport.close()

    # ---- httptools

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._note_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._note_head(len(name) + len(value))
        known = _NAMES.get(name) or _NAMES.get(name.lower())
        if known is not None:
            self._headers[known] = value.decode("utf-8", "replace")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._length += len(body)
        if self._length > self._most_body:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {self._most_body} bytes")
        elif not self._refusing:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._refusing:
            return
        path, _, query = self._url.partition(b"?")
        request = Request(
            self._parser.get_method().decode(),
            path.decode("latin-1"),
            query,
            self._headers,
            b"".join(self._body),
        )
        slot = Slot(self, close=not self._parser.should_keep_alive())
        self._slots.append(slot)
        self._reset()
        if len(self._slots) >= _MOST_OPEN and self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._handler(request, slot)

    # ---- answers

    def flush(self) -> None:
        """Send the answers that are known, up to the first that is not."""
        ready: list[bytes] = []
        close = False
        while self._slots and self._slots[0].content is not None:
            slot = self._slots.popleft()
            assert slot.content is not None
            ready.append(slot.content)
            close = close or slot.closes
        if self._transport is None or not ready:
            return
        self._transport.write(b"".join(ready))
        if close or (self._refusing and not self._slots):
            self._transport.close()
        elif self._paused and len(self._slots) < _MOST_OPEN // 2:
            self._paused = False
            self._transport.resume_reading()

    def _note_head(self, more: int) -> None:
        self._head += more
        if self._head > _MOST_HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a head has at most {_MOST_HEAD} bytes")

    def _refuse(self, status: int, sentence: str) -> None:
        """Answer after what is owed, and read no more."""
        if self._refusing:
            return
        self._refusing = True
        slot = Slot(self, close=True)
        self._slots.append(slot)
        slot.answer(Response(status, sentence.encode()))

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._length = self._head = 0


def _encoded(response: Response, *, close: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"content-length: {len(response.body)}",
    ]
    if response.body:
        lines.append(f"content-type: {response.content_type}")
    lines += [f"{name}: {value}" for name, value in response.headers]
    if close:
        lines.append("connection: close")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + response.body
