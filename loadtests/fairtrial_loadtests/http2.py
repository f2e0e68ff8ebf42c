"""gRPC calls on kept HTTP/2 connections, as lean as those of `connection` are on HTTP/1.1.

One call at a time on a connection: an answer that is slow holds up no other, and what a call cost is its own.
Of HTTP/2 (RFC 9113) that leaves frames, flow control of what is sent, and answers to pings and settings. The
server is told to keep no table of headers, so that the same bytes always are the same headers, and are read
once. grpcio would need a thread of its own beside gevent's loop for every event.
"""

from __future__ import annotations

import select
import ssl
import struct
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from gevent import monkey, socket
from gevent import ssl as gevent_ssl
from hpack import Decoder, HPACKError

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = (
    0,
    1,
    3,
    4,
    6,
    7,
    8,
    9,
)
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 1, 1, 4, 8, 32
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE = 1, 2, 4, 5
_WIDE = (1 << 31) - 1  # bytes a server may send without being told that they were read
_MUCH = 1 << 24  # bytes read after which the server is told
_USUAL_WINDOW, _USUAL_FRAME = 65_535, 16_384
_LAST_STREAM = 1 << 30
_MAX_IDLE = 1.0  # seconds; as on HTTP/1.1
_BLOCK = 1 << 16  # bytes
_MOST_KEPT = 4096  # blocks of headers, some of which have a date in them

#: HTTP's word for a status of gRPC; any other is 500.
_HTTP = {0: 200, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 12: 501, 14: 503, 16: 401}

_poll: Any = monkey.get_original("select", "poll")


class BrokenCall(OSError):
    """The connection, or the server, gave the call up."""


class Call(NamedTuple):
    """A prepared request: its headers in HPACK, and its message with gRPC's five bytes before it."""

    head: bytes
    body: bytes


class CallResponse:
    """A complete answer."""

    def __init__(self, headers: Mapping[str, str], body: bytes) -> None:
        self._headers = headers
        self.body = body[5:]  # without the flag of compression, which nobody was allowed, and the length

    def get_code(self) -> int:
        """The status as an HTTP code."""
        said = self._headers.get("grpc-status")
        if said is None:
            code = self._headers.get(":status", "")
            return int(code) if code.isdecimal() and code != "200" else 502
        return _HTTP.get(int(said), 500) if said.isdecimal() else 500

    def header(self, name: str) -> str:
        return self._headers.get(name, "")


class Calls:
    """The connections to one address. A call takes the one used last, or opens another."""

    def __init__(self, url: str, connect_timeout: float) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._address = parts.hostname or "", parts.port or (443 if self._secure else 80)
        self._connect_timeout = connect_timeout
        self._idle: list[_Connection] = []

    def post(self, request: Call) -> CallResponse:
        """Make a call and return its whole answer; raises OSError if there is none. Never sends twice.

        The caller bounds the time it takes by throwing into the greenlet.
        """
        connection = self._take()
        try:
            response = connection.call(request)
        except struct.error as error:
            connection.close()
            raise BrokenCall("the server sent what is no frame of HTTP/2") from error
        except BaseException:
            connection.close()
            raise
        if connection.usable:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        else:
            connection.close()
        return response

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> _Connection:
        oldest = time.monotonic() - _MAX_IDLE
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since >= oldest and connection.is_alive():
                return connection
            connection.close()
        return _Connection(self._open())

    def _open(self) -> Any:
        sock: Any = socket.create_connection(self._address, self._connect_timeout)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._secure:
                context = gevent_ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.load_default_certs()
                context.set_alpn_protocols(["h2"])
                sock = context.wrap_socket(sock, server_hostname=self._address[0])
            sock.settimeout(None)
        except BaseException:
            sock.close()
            raise
        return sock


class _Connection:
    def __init__(self, sock: Any) -> None:
        self.idle_since = 0.0
        self.usable = True
        self._socket = sock
        self._poll = _poll()
        self._poll.register(sock.fileno(), select.POLLIN)
        self._received = b""
        self._stream = -1
        self._window = self._initial = _USUAL_WINDOW  # of the connection; of a new stream
        self._stream_window = 0
        self._frame = _USUAL_FRAME
        self._unacknowledged = 0
        settings = ((_HEADER_TABLE_SIZE, 0), (_ENABLE_PUSH, 0), (_INITIAL_WINDOW_SIZE, _WIDE))
        payload = b"".join(struct.pack(">HI", name, value) for name, value in settings)
        wide = struct.pack(">I", _WIDE - _USUAL_WINDOW)
        self._greeting = _PREFACE + _frame(_SETTINGS, 0, 0, payload) + _frame(_WINDOW_UPDATE, 0, 0, wide)

    def is_alive(self) -> bool:
        """Read what has come since the last answer: settings and pings are no reason to give it up."""
        try:
            while self.usable and self._poll.poll(0):
                self._read_more()
                while (frame := self._next()) is not None:
                    self._mind(*frame)
        except (OSError, struct.error):
            return False
        return self.usable

    def close(self) -> None:
        self._socket.close()

    def call(self, request: Call) -> CallResponse:
        self._stream += 2
        stream = self._stream
        self._stream_window = self._initial
        begin = self._greeting + self._headed(request.head)
        self._greeting = b""
        body = request.body
        if len(body) <= min(self._window, self._stream_window, self._frame):
            self._window -= len(body)
            self._socket.sendall(begin + _frame(_DATA, _END_STREAM, stream, body))
        else:
            self._socket.sendall(begin)
            self._send_slowly(body)
        if stream >= _LAST_STREAM:
            self.usable = False
        return self._answer(stream)

    def _headed(self, head: bytes) -> bytes:
        first, rest = head[: self._frame], head[self._frame :]
        frames = _frame(_HEADERS, 0 if rest else _END_HEADERS, self._stream, first)
        while rest:
            piece, rest = rest[: self._frame], rest[self._frame :]
            frames += _frame(_CONTINUATION, 0 if rest else _END_HEADERS, self._stream, piece)
        return frames

    def _send_slowly(self, body: bytes) -> None:
        """Send as much at a time as the server lets."""
        while body:
            room = min(self._window, self._stream_window, self._frame)
            if room <= 0:
                kind, flags, stream, payload = self._await()
                if stream == self._stream and kind in (_HEADERS, _DATA):
                    raise BrokenCall("the server answered before it had the request")
                self._mind(kind, flags, stream, payload)
                continue
            piece, body = body[:room], body[room:]
            self._window -= len(piece)
            self._stream_window -= len(piece)
            self._socket.sendall(_frame(_DATA, 0 if body else _END_STREAM, self._stream, piece))

    def _answer(self, stream: int) -> CallResponse:
        headers: dict[str, str] = {}
        body = block = b""
        ends = False
        while True:
            kind, flags, of, payload = self._await()
            if of != stream or kind not in (_DATA, _HEADERS, _CONTINUATION):
                self._mind(kind, flags, of, payload)
                continue
            ends = ends or (kind != _CONTINUATION and bool(flags & _END_STREAM))
            if kind == _DATA:
                self._unacknowledged += len(payload)
                body += _unpadded(flags, payload)
            else:
                block += _unpadded(flags, payload) if kind == _HEADERS else payload
                if not flags & _END_HEADERS:
                    continue
                headers.update(headers_in(block))
                block = b""
            if ends:
                if self._unacknowledged > _MUCH:
                    more = struct.pack(">I", self._unacknowledged)
                    self._socket.sendall(_frame(_WINDOW_UPDATE, 0, 0, more))
                    self._unacknowledged = 0
                return CallResponse(headers, body)

    def _mind(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """A frame that is no part of an answer."""
        if kind == _SETTINGS and not flags & _ACK:
            for place in range(0, len(payload) - 5, 6):
                name, value = struct.unpack_from(">HI", payload, place)
                if name == _INITIAL_WINDOW_SIZE:
                    self._stream_window += value - self._initial
                    self._initial = value
                elif name == _MAX_FRAME_SIZE:
                    self._frame = value
            self._socket.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._socket.sendall(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW_UPDATE:
            (more,) = struct.unpack(">I", payload[:4])
            if stream == 0:
                self._window += more
            elif stream == self._stream:
                self._stream_window += more
        elif kind == _GOAWAY:
            self.usable = False
            (last,) = struct.unpack(">I", payload[:4])
            if last < self._stream:
                raise BrokenCall("the server is going away")
        elif kind == _RST_STREAM and stream == self._stream:
            raise BrokenCall(f"the server gave the call up: code {int.from_bytes(payload[:4], 'big')}")

    def _await(self) -> tuple[int, int, int, bytes]:
        while (frame := self._next()) is None:
            self._read_more()
        return frame

    def _next(self) -> tuple[int, int, int, bytes] | None:
        received = self._received
        if len(received) < 9:
            return None
        size = int.from_bytes(received[:3], "big")
        if len(received) < 9 + size:
            return None
        self._received = received[9 + size :]
        return received[3], received[4], int.from_bytes(received[5:9], "big") & _WIDE, received[9 : 9 + size]

    def _read_more(self) -> None:
        data = self._socket.recv(_BLOCK)
        if not data:
            self.usable = False
            raise BrokenCall("the connection was closed before the answer was complete")
        self._received += data


def header_block(headers: Mapping[str, str]) -> bytes:
    """Headers in HPACK, each as it is: no table is used. Raises UnicodeEncodeError for what is not ASCII."""
    return b"".join(
        b"\x00" + _literal(name.lower().encode("ascii")) + _literal(value.encode("ascii"))
        for name, value in headers.items()
    )


def _literal(text: bytes) -> bytes:
    size = len(text)
    if size < 127:
        return bytes([size]) + text
    out, size = bytearray([127]), size - 127
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes([*out, size]) + text


_kept: dict[bytes, dict[str, str]] = {}


def headers_in(block: bytes) -> dict[str, str]:
    found = _kept.get(block)
    if found is None:
        try:
            found = {str(name): str(value) for name, value in Decoder().decode(block)}
        except (HPACKError, UnicodeDecodeError) as error:
            raise BrokenCall(f"the headers cannot be read: {error}") from error
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[block] = found
    return found


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _unpadded(flags: int, payload: bytes) -> bytes:
    end = len(payload)
    begin = 0
    if flags & _PADDED:
        begin, end = 1, end - payload[0]
    return payload[begin + (5 if flags & _PRIORITY else 0) : end]
