"""HTTP/1.1 on kept connections: what lies under Locust's FastHttpUser, without its cost for each request.

The parser and the sockets are geventhttpclient's, as in FastHttpUser. What is left out is what a load
of prepared requests has no use for: a head built anew each time, cookies, redirects, retries, and a
limit on connections (the load's in-flight cap is the limit).
"""

from __future__ import annotations

import select
import socket
import time
from typing import Any
from urllib.parse import urlsplit

from gevent import monkey
from geventhttpclient.connectionpool import ConnectionPool, SSLConnectionPool
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError, HTTPResponse

#: What `Connections.post` raises when there is no answer (a TLS error is an OSError).
NO_ANSWER = (OSError, HTTPParseError)

_MAX_IDLE = 1.0  # seconds; servers close idle connections after 2 to 5, and their close can cross a request
_BLOCK = 1 << 16  # bytes

# gevent's own poll lets other greenlets run, which a look that never waits has no need of.
_poll: Any = monkey.get_original("select", "poll")


class Response(HTTPResponse):
    """A complete answer."""

    @property
    def body(self) -> bytes:
        return bytes(self._body_buffer)

    def check_end(self, data: bytes) -> None:
        """Raises HTTPConnectionClosed if no data, the end of the connection, does not end the answer."""
        if not data and not self.message_complete:
            raise HTTPConnectionClosed("the connection was closed before the answer was complete")

    def header(self, name: str) -> str:
        """The value of a header; "" if it is missing, the last if it is there more than once."""
        value = self.get(name)
        if isinstance(value, list):
            return value[-1]
        return value or ""


class Connections:
    """The connections to one address. A request takes the one used last, or opens another."""

    def __init__(self, url: str, connect_timeout: float) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        pool = _SecureSockets if secure else _Sockets
        self._sockets = pool(host, port, host, port, connection_timeout=connect_timeout)
        self._idle: list[_Connection] = []

    def post(self, request: bytes) -> Response:
        """Send a whole request, head and body, and return the whole answer; raises one of NO_ANSWER.

        Never sends twice. The caller bounds the time it takes by throwing into the greenlet.
        """
        connection = self._take()
        sock = connection.socket
        response = Response("POST")
        try:
            sock.sendall(request)
            while not response.message_complete or response.get_code() < 200:
                data = sock.recv(_BLOCK)
                response.feed(data)
                response.check_end(data)
        except BaseException:
            sock.close()
            raise
        if response.should_close():
            sock.close()
        else:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        return response

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().socket.close()

    def _take(self) -> _Connection:
        oldest = time.monotonic() - _MAX_IDLE
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since >= oldest and connection.is_quiet():
                return connection
            connection.socket.close()
        return _Connection(self._sockets.open())


class _Connection:
    __slots__ = ("_poll", "idle_since", "socket")

    def __init__(self, sock: Any) -> None:
        self.socket = sock
        self.idle_since = 0.0
        self._poll = _poll()
        self._poll.register(sock.fileno(), select.POLLIN)

    def is_quiet(self) -> bool:
        """Whether it is still open: an idle connection that can be read was closed, or is out of step."""
        return not self._poll.poll(0)


class _Sockets(ConnectionPool):
    def open(self) -> Any:
        return _unhurried(self._create_socket())


class _SecureSockets(SSLConnectionPool):
    def open(self) -> Any:
        return _unhurried(self._create_socket())


def _unhurried(sock: Any) -> Any:
    # A timer for each wait costs more than the wait: the load bounds a request as a whole.
    sock.settimeout(None)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
