"""A proxy between a client and the API server, which counts requests and lets some of them go wrong."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web
from cluster.control_plane import ControlPlane

_HOP = {"host", "connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass(frozen=True)
class Faults:
    """Chances, of each request or watch."""

    conflict: float = 0.0  # a write is refused with 409
    busy: float = 0.0  # 429
    broken: float = 0.0  # 500
    unanswered: float = 0.0  # the request is done, and its answer lost
    dropped: float = 0.0  # a watch is cut off after a while

    @classmethod
    def all(cls, chance: float) -> Faults:
        return cls(chance, chance, chance, chance, chance)


class FaultyProxy:
    """Serves in a thread of its own, from `start` to `stop`; the kubeconfig leads through it."""

    def __init__(self, plane: ControlPlane, folder: Path, faults: Faults, seed: int = 1) -> None:
        self.requests: Counter[str] = Counter()  # by verb and kind
        self.faulted: Counter[str] = Counter()
        self._plane = plane
        self._faults = faults
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._folder = folder
        self._session: ClientSession | None = None
        self._port = 0

    @property
    def kubeconfig(self) -> Path:
        content = json.loads(self._plane.kubeconfig.read_text("utf-8"))
        content["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{self._port}"}
        path = self._folder / "kubeconfig-of-proxy"
        path.touch(mode=0o600)
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._begin())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._end(runner))
        self._loop.close()

    async def _begin(self) -> web.AppRunner:
        import ssl

        context = ssl.create_default_context(cafile=self._plane.authority)
        self._session = ClientSession(
            self._plane.url, connector=TCPConnector(ssl=context, limit=0), auto_decompress=False
        )
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._port = runner.addresses[0][1]
        return runner

    async def _end(self, runner: web.AppRunner) -> None:
        await runner.cleanup()
        assert self._session is not None
        await self._session.close()
        await asyncio.sleep(0.3)  # aiohttp closes its connections in the background

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        watch = request.query.get("watch") in ("1", "true", "True")
        self.requests[f"{'WATCH' if watch else request.method} {_kind(request.path)}"] += 1
        if (refused := self._refused(request)) is not None:
            return refused
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        assert self._session is not None
        timeout = ClientTimeout(total=None, sock_read=None)
        async with self._session.request(
            request.method,
            request.raw_path,
            data=await request.read() or None,
            headers=headers,
            skip_auto_headers=["Content-Type"],
            timeout=timeout,
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            if watch:
                return await self._watch(request, answer, kept)
            body = await answer.read()
            if self._happens("unanswered", self._faults.unanswered):
                _cut(request)
            return web.Response(status=answer.status, body=body, headers=kept)

    async def _watch(self, request: web.Request, answer: Any, headers: dict[str, str]) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        ends = self._random.uniform(0.2, 3.0) if self._happens("dropped", self._faults.dropped) else None
        try:
            async with asyncio.timeout(ends):
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
        except TimeoutError:
            _cut(request)
        except (ConnectionError, asyncio.CancelledError):
            pass
        return response

    def _refused(self, request: web.Request) -> web.Response | None:
        writes = request.method in ("PUT", "PATCH", "POST")
        if writes and self._happens("conflict", self._faults.conflict):
            return _status(409, "Conflict", "the object has been modified; please apply your changes again")
        if self._happens("busy", self._faults.busy):
            return _status(429, "TooManyRequests", "too many requests, please try again later")
        if self._happens("broken", self._faults.broken):
            return _status(500, "InternalError", "an error on the server has prevented the request")
        return None

    def _happens(self, what: str, chance: float) -> bool:
        if self._random.random() >= chance:
            return False
        self.faulted[what] += 1
        return True


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _status(code: int, reason: str, message: str) -> web.Response:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code,
              "message": message}  # fmt: skip
    return web.json_response(status, status=code)


def _kind(path: str) -> str:
    """The plural in the path, with a subresource if there is one."""
    parts = path.strip("/").split("/")
    if "namespaces" in parts[:-2]:
        parts = parts[parts.index("namespaces") + 2 :]
    else:
        parts = parts[3:] if parts[0] == "apis" else parts[2:]
    return "/".join([parts[0], *parts[2:]]) if parts else path
