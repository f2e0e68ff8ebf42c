"""A real HTTP server that keeps what is posted to it, and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Listener:
    url: str = ""
    answers: list[int] = field(default_factory=list)  # statuses, first to last; 200 once they are used up
    got: list[dict[str, Any]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)  # cleared: it answers nobody
    asked: threading.Event = field(default_factory=threading.Event)

    @property
    def events(self) -> list[str]:
        return [each["event"] for each in self.got]


@contextmanager
def listening(port: int = 0) -> Generator[Listener]:
    listener = Listener()
    listener.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            listener.asked.set()
            listener.hold.wait(30)
            status = listener.answers.pop(0) if listener.answers else 200
            if status == 200:
                listener.got.append(body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if status in (302, 307):
                self.send_header("Location", listener.url)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    listener.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    try:
        yield listener
    finally:
        listener.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
