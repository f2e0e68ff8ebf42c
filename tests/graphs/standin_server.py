"""A model server that starts in 50 ms: enough of V2 REST to see who answered what, and how often.

What it does wrong is told by its graph node's parameters: `delay` (seconds before each answer), `fail` (its
last words before it ends with code 3), `unready` (it never gets ready), `stubborn` (it ignores SIGTERM),
`loading` (seconds for which it listens and has no model yet), `error` (it answers 500), `once` (a file by
which it knows that it has run before, and ends), `breaking` (a file by which the first of several servers
knows that it is the one to break off each inference request).
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


class Server:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.node = settings["node"]
        self.uri = settings["uri"]
        loading = math.inf if "unready" in settings else float(settings.get("loading", 0))
        self.ready_from = time.monotonic() + loading
        self.error = "error" in settings
        self.delay = float(settings.get("delay", 0))
        self.breaking = "breaking" in settings and is_first(settings["breaking"])
        self.inferred = 0
        self.requests: set[str] = set()  # ids

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        mine = f"/v2/models/{self.node}"
        ready = time.monotonic() >= self.ready_from
        if path == f"{mine}/infer" and method == "POST" and ready:
            self.inferred += 1
            request = json.loads(body).get("id")
            self.requests.add(request)
            said = {"id": request, "uri": self.uri, "server": os.getpid()}
            return (500 if self.error else 200), {"model_name": self.node, **said}
        if path in ("/v2/health/ready", f"{mine}/ready"):
            return (200 if ready else 400), {}
        if path == mine:
            return 200, {"name": self.node, "inferred": self.inferred, "distinct": len(self.requests)}
        return 404, {"error": f"no {method} {path} at {self.node}"}


class Connection(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self.server = server
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return
        request, *lines = head.decode("latin-1").lower().split("\r\n")
        length = next((int(line[16:]) for line in lines if line.startswith("content-length: ")), 0)
        if len(body) < length:
            return
        self.received = b""
        method, target, _ = request.split(" ")
        if self.server.breaking and method == "post":
            self.transport.abort()
            return
        status, content = self.server.answer(method.upper(), target.partition("?")[0], body)
        text = json.dumps(content).encode()
        answer = b"HTTP/1.1 %d .\r\ncontent-length: %d\r\n\r\n%b" % (status, len(text), text)
        if self.server.delay and method == "post":
            asyncio.get_running_loop().call_later(self.server.delay, self.transport.write, answer)
        else:
            self.transport.write(answer)


def is_first(file: str) -> bool:
    """Whether no server has asked this of the file before."""
    try:
        Path(file).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


async def main() -> None:
    settings = json.loads(sys.argv[1])
    if "fail" in settings:
        print("loading the model", settings["fail"], sep="\n", file=sys.stderr)
        sys.exit(3)
    if "once" in settings and not is_first(settings["once"]):
        sys.exit("it has run before")
    if "stubborn" in settings:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = Server(settings)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: Connection(server), "127.0.0.1", settings["port"], backlog=1024
    )
    await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
