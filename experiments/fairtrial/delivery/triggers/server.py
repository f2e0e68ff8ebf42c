"""HTTP for a few messages of a bounded size: nobody can hold it up, and nobody is shown a traceback."""

from __future__ import annotations

import io
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, TypeAlias

from typing_extensions import override

_LARGEST = 1 << 20  # bytes of a body
_DISCARDED = 16 << 20  # bytes that are read of one that is too large, so that the answer is not lost
_AT_ONCE = 32  # requests

_log = logging.getLogger(__name__)


class Answer:
    """A status, and JSON."""

    def __init__(self, status: HTTPStatus, content: Mapping[str, Any]) -> None:
        self.status = status
        self.body = json.dumps(content).encode() + b"\n"


def refusal(status: HTTPStatus, sentence: str) -> Answer:
    return Answer(status, {"error": sentence})


#: Method, path, headers (names in lower case) and body. From any thread.
Responder: TypeAlias = Callable[[str, str, Mapping[str, str], bytes], Answer]


class Server(ThreadingHTTPServer):
    """Listens once it is made; `serve_forever` answers."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], respond: Responder, patience: float) -> None:
        """patience: seconds that a request may take to come. Raises OSError, OverflowError."""
        self.respond = respond
        self.patience = patience
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    @override
    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # without asking DNS for our name, as HTTPServer would

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        # Those for whom there is no place wait in the kernel's queue: slow senders are cut off in time.
        self._places.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    @override
    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that went away is no error, and nobody is shown a traceback."""


class _UntilDeadline(io.RawIOBase):
    """What a socket gives, each read with the time that is left: trickling in does not prolong it."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + seconds

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any, /) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    """One request for each connection."""

    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]
    server_version = "fairtrial"
    sys_version = ""

    @override
    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_UntilDeadline(self.connection, self.server.patience))

    def _handle(self) -> None:
        try:
            answer = self._read_and_answer()
        except TimeoutError:
            answer = refusal(HTTPStatus.REQUEST_TIMEOUT, f"took longer than {self.server.patience:g} s")
        except ConnectionError:
            return
        except Exception as error:  # noqa: BLE001  # nothing that is wrong with us may reach a sender
            _log.error("a message was not taken: %s", type(error).__name__)
            answer = refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "something is wrong with the listener")
        self._send(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _handle

    def _read_and_answer(self) -> Answer:
        headers = {name.lower(): value for name, value in self.headers.items()}
        if "transfer-encoding" in headers:
            return refusal(HTTPStatus.LENGTH_REQUIRED, "expected Content-Length; chunks are not taken")
        said = headers.get("content-length", "0").strip()
        if not (said.isascii() and said.isdecimal()):
            return refusal(HTTPStatus.BAD_REQUEST, "Content-Length is no number")
        length = int(said[:20])
        if length > _LARGEST:
            self._discard(min(length, _DISCARDED))
            return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"larger than {_LARGEST >> 20} MiB")
        body = self.rfile.read(length)
        if len(body) < length:
            return refusal(HTTPStatus.BAD_REQUEST, "the body is shorter than its Content-Length")
        path = self.path.partition("?")[0]
        return self.server.respond(self.command, path, headers, body)

    def _discard(self, length: int) -> None:
        while length > 0 and (got := len(self.rfile.read(min(length, 1 << 16)))):
            length -= got

    def _send(self, answer: Answer) -> None:
        self.connection.settimeout(self.server.patience)
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer.body)))
        if answer.status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    @override
    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What is no HTTP, in JSON as well."""
        del explain
        self._send(refusal(HTTPStatus(code), message or HTTPStatus(code).phrase))

    @override
    def log_message(self, format: str, *args: Any) -> None:
        del format, args
