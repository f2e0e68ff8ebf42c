"""What the kubelet and Prometheus ask an operator: /healthz, /readyz, /metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

from fairtrial.errors import UsageError


class HealthServer:
    """Answers from threads of its own, from `start` to `stop`."""

    def __init__(
        self, host: str, port: int, ready: Callable[[], bool], gauges: Callable[[], Mapping[str, float]]
    ) -> None:
        """port: 0 for a free one. Raises UsageError when it is taken."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = _answer(self.path, ready, gauges)
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, format: str, *args: Any) -> None:
                del format, args

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise UsageError(
                f"cannot listen on {host}:{port}: {error.strerror}; say another --port"
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()


def _answer(
    path: str, ready: Callable[[], bool], gauges: Callable[[], Mapping[str, float]]
) -> tuple[int, bytes]:
    match path.partition("?")[0]:
        case "/healthz":
            return 200, b"ok\n"
        case "/readyz":
            return (200, b"ok\n") if ready() else (503, b"not yet\n")
        case "/metrics":
            lines = [f"# TYPE {name} gauge\n{name} {value:g}\n" for name, value in gauges().items()]
            return 200, "".join(lines).encode()
        case _:
            return 404, b"there is /healthz, /readyz and /metrics\n"
