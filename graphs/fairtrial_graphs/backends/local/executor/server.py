"""The executor's REST interface."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web

from fairtrial_graphs.backends.local.executor import grpc_server
from fairtrial_graphs.backends.local.executor.client import Client, NodeFailed, forwarded
from fairtrial_graphs.backends.local.executor.cors import allowing
from fairtrial_graphs.backends.local.executor.graph import Call, Graph, GraphNode
from fairtrial_graphs.backends.local.executor.graph_metadata import graph_metadata
from fairtrial_graphs.backends.local.executor.json_payloads import JsonPayloads, escaped, parsed
from fairtrial_graphs.backends.local.executor.messages import BadMessage, Message
from fairtrial_graphs.backends.local.executor.metrics import Metrics
from fairtrial_graphs.backends.local.executor.request_log import RequestLog
from fairtrial_graphs.backends.local.executor.walk import Walk

Handler = Callable[[web.Request], Awaitable[web.Response]]

_PUID = "Seldon-Puid"
_PUID_OF = web.RequestKey("puid", str)
_LARGEST_BODY = 1 << 30  # bytes; the executor has no limit
_CONNECT = 1.0  # seconds


def application(graph: Graph, port: int, grpc_port: int) -> web.Application:
    """Everything that the executor answers to, for a server to run at `port`; gRPC from when it is run."""
    api = _Api(graph, port)
    app = web.Application(middlewares=[_with_headers(graph)], client_max_size=_LARGEST_BODY)
    app.cleanup_ctx.append(api.logging)
    app.cleanup_ctx.append(api.connected)
    app.cleanup_ctx.append(api.grpc_at(grpc_port))
    app.router.add_get("/ready", api.ready)
    app.router.add_get("/live", _alive)
    for path in ("/metrics", "/prometheus"):
        app.router.add_get(path, api.exposed)
    if graph.protocol == "seldon":
        for version in ("/api/v0.1", "/api/v1.0"):
            app.router.add_post(f"{version}/predictions", api.timed("predictions", api.predict))
            app.router.add_post(f"{version}/feedback", api.timed("feedback", api.feedback))
            app.router.add_get(f"{version}/status/{{model}}", api.timed("status", api.status))
            app.router.add_get(f"{version}/metadata/{{model}}", api.timed("metadata", api.metadata))
        app.router.add_get("/api/v1.0/metadata", api.timed("metadata", api.graph_metadata))
        app.router.add_get("/api/v1.0/status", api.timed("status", api.ready))
        app.router.add_get("/api/v1.0/health/status", api.timed("status", api.ready))
    else:
        app.router.add_post("/v2/models/infer", api.timed("predictions", api.predict))
        app.router.add_post("/v2/models/{model}/infer", api.timed("predictions", api.predict))
        app.router.add_get("/v2/models/{model}/ready", api.timed("status", api.status))
        app.router.add_get("/v2/models/{model}", api.timed("metadata", api.metadata))
        app.router.add_get("/v2/health/ready", api.timed("status", api.ready))
        # The executor has no such path; it is how callers of a model server find out that it lives.
        app.router.add_get("/v2/health/live", _alive)
    return app


class _Api:
    def __init__(self, graph: Graph, port: int) -> None:
        self._graph = graph
        self._log = RequestLog(graph, f"http://localhost:{port}/")
        self._metrics = Metrics(graph)
        self._client: Client | None = None

    async def logging(self, _: web.Application) -> AsyncIterator[None]:
        async with self._log.sending():
            yield

    async def connected(self, _: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(
            # Shorter than the 2 s after which gunicorn hangs up, lest a request meet a closing connection.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=1.0),
            timeout=aiohttp.ClientTimeout(total=self._graph.timeout),
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding",),
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            self._client = Client(self._graph, session, self._metrics)
            yield

    def grpc_at(self, port: int) -> Callable[[web.Application], AsyncIterator[None]]:
        async def grpc_served(_: web.Application) -> AsyncIterator[None]:
            async with grpc_server.serving(self._graph, port, self._metrics, self._log, self._is_ready):
                yield

        return grpc_served

    def timed(self, service: str, handler: Handler) -> Handler:
        async def timing(request: web.Request) -> web.Response:
            start = time.perf_counter()
            response = await handler(request)
            seconds = time.perf_counter() - start
            self._metrics.served(service, request.method, response.status, seconds)
            return response

        return timing

    async def predict(self, request: web.Request) -> web.Response:
        walk, message = await self._begin(request)
        return await _answer(walk.predict(self._graph.root, message))

    async def feedback(self, request: web.Request) -> web.Response:
        walk, message = await self._begin(request)
        return await _answer(walk.feedback(self._graph.root, message))

    async def status(self, request: web.Request) -> web.Response:
        node = self._node(request)
        if node is not None and node.port is None:
            return await self.ready(request)
        return await self._ask_one(request, node, self._asking.status)

    async def metadata(self, request: web.Request) -> web.Response:
        node = self._node(request)
        if node is not None and node.port is None:
            return _response(200, Message(json.dumps(_about(node)).encode()))
        return await self._ask_one(request, node, self._asking.metadata)

    async def graph_metadata(self, request: web.Request) -> web.Response:
        return await _answer(self._graph_metadata(forwarded(request.headers)))

    async def ready(self, _: web.Request) -> web.Response:
        return web.Response(status=200 if await self._is_ready() else 503)

    async def exposed(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def _is_ready(self) -> bool:
        ports = [node.port for node in self._graph.root.walk() if node.port is not None]
        return all(await asyncio.gather(*(_listens(port) for port in ports)))

    @property
    def _asking(self) -> Client:
        assert self._client is not None
        return self._client

    async def _graph_metadata(self, headers: dict[str, str]) -> Message:
        """Raises NodeFailed, BadMessage."""
        said: dict[str, Any] = {}
        for node in self._graph.root.walk():
            if node.port is None:
                said[node.name] = _about(node)
                continue
            content = parsed(await self._asking.metadata(node, headers))
            if not isinstance(content, dict):
                raise BadMessage(f"the metadata of {node.name} are JSON, but not an object")
            said[node.name] = content
        return Message(json.dumps(graph_metadata(self._graph, said)).encode())

    def _node(self, request: web.Request) -> GraphNode | None:
        name = request.match_info["model"]
        return next((node for node in self._graph.root.walk() if node.name == name), None)

    async def _begin(self, request: web.Request) -> tuple[Walk, Message]:
        client, headers = self._asking, forwarded(request.headers)
        headers[_PUID] = puid = request[_PUID_OF]
        model = request.match_info.get("model")
        if model == self._graph.root.name:
            # The proxy puts the root's name in every path. Seldon's executor would ask each node under it.
            model = None

        async def ask(node: GraphNode, call: Call, message: Message) -> Message:
            return await client.ask(node, call, message, headers, model)

        content_type = request.headers.get("Content-Type", "")
        message = Message(await request.read(), content_type)
        note = self._log.of(puid, headers)
        return Walk(self._graph, JsonPayloads(self._graph.protocol), ask, random.random, note), message

    async def _ask_one(
        self,
        request: web.Request,
        node: GraphNode | None,
        ask: Callable[[GraphNode, dict[str, str]], Awaitable[Message]],
    ) -> web.Response:
        if node is None:
            return _failure(f"Failed to find model {request.match_info['model']}")
        return await _answer(ask(node, forwarded(request.headers)))


def _about(node: GraphNode) -> dict[str, str]:
    """The metadata of a node that has no server."""
    return {"name": node.name, "platform": node.implementation or ""}


async def _answer(result: Awaitable[Message]) -> web.Response:
    try:
        return _response(200, await result)
    except NodeFailed as error:
        if error.answer is None:
            return _failure(str(error), error.status)
        return _response(error.status, error.answer, failed=True)
    except BadMessage as error:
        return _failure(str(error))


def _response(status: int, message: Message, *, failed: bool = False) -> web.Response:
    # The executor writes a failure's status before its content type, which is lost by that.
    headers = {"Content-Type": "text/plain; charset=utf-8" if failed else message.content_type}
    if message.encoding and not failed:
        return web.Response(
            status=status, body=message.body, headers={**headers, "Content-Encoding": message.encoding}
        )
    return web.Response(status=status, body=escaped(message.body), headers=headers)


def _failure(info: str, status: int = 500) -> web.Response:
    body: dict[str, Any] = {"status": {"code": 500, "info": info, "status": "FAILURE"}}
    return _response(status, Message(json.dumps(body, separators=(",", ":")).encode()), failed=True)


def _with_headers(graph: Graph) -> Any:
    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        request[_PUID_OF] = puid = request.headers.get(_PUID) or str(uuid.uuid4())
        methods = {request.match_info.route.method}
        try:
            response = await handler(request)
        except web.HTTPNotFound:
            response = web.Response(status=404, text="404 page not found\n")
            response.headers["X-Content-Type-Options"] = "nosniff"
            return response
        except web.HTTPMethodNotAllowed as error:
            if request.method != "OPTIONS":
                return web.Response(status=405)
            response, methods = web.Response(), error.allowed_methods
        response.headers[_PUID] = puid
        response.headers.update(allowing(request.path, methods))
        response.headers["X-Content-Type-Options"] = "nosniff"
        if "Ce-Specversion" in request.headers:
            response.headers["Ce-Id"] = puid
            response.headers["Ce-Specversion"] = "0.3"
            response.headers["Ce-Path"] = request.path
            response.headers["Ce-Type"] = f"seldon.{graph.deployment}.{graph.namespace}.response"
            response.headers["Ce-Source"] = f"seldon.{graph.deployment}"
        return response

    return middleware


async def _alive(_: web.Request) -> web.Response:
    return web.Response()


async def _listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_CONNECT):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False
