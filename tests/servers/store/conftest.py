"""A cache of each test's own, and servers of our own making or somebody else's that tests ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache's folder."""
    for name in ("FAIRTRIAL_CACHE_SIZE", "FAIRTRIAL_CACHE_STALE", "FAIRTRIAL_FETCH_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "cache"
    monkeypatch.setenv("FAIRTRIAL_CACHE", str(folder))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return folder


@dataclass
class Page:
    """What the web server answers at a path."""

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None  # what is said of it, where that is a lie
    pieces: int = 1
    pause: float = 0.0  # seconds before each piece
    etag: str | None = None
    user: str | None = None  # the Authorization header that is demanded
    failures: int = 0  # times that it fails with 503 first


@dataclass
class Web:
    url: str
    pages: dict[str, Page]
    asked: list[str] = field(default_factory=list)  # "GET /path 200", in order

    def served(self) -> int:
        """How often content was sent."""
        return sum(line.endswith(" 200") for line in self.asked)


class _Handler(BaseHTTPRequestHandler):
    web: Web
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        page = self.web.pages.get(self.path.partition("?")[0])
        if page is None:
            return self._end(404)
        if page.failures:
            page.failures -= 1
            return self._end(503)
        if page.user and self.headers.get("Authorization") != page.user:
            return self._end(401)
        if page.etag and self.headers.get("If-None-Match") == page.etag:
            return self._end(304)
        if page.status != 200:
            return self._end(page.status, page.headers)
        self.web.asked.append(f"GET {self.path} 200")
        self.send_response(200)
        headers = dict(page.headers)
        if page.etag:
            headers["ETag"] = page.etag
        if "Transfer-Encoding" not in headers and page.length != -1:
            headers["Content-Length"] = str(len(page.content) if page.length is None else page.length)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        size = max(1, -(-len(page.content) // page.pieces))
        for start in range(0, len(page.content), size):
            time.sleep(page.pause)
            self.wfile.write(page.content[start : start + size])
            self.wfile.flush()
        self.close_connection = True
        return None

    def _end(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.web.asked.append(f"GET {self.path} {status}")
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gave up is what some tests are about."""


@pytest.fixture
def web() -> Iterator[Web]:
    """A web server that does as its pages say."""
    handler = type("Handler", (_Handler,), {})
    server = _Server(("127.0.0.1", 0), handler)
    handler.web = Web(f"http://127.0.0.1:{server.server_address[1]}", {})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield handler.web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
