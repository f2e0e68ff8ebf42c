"""The executor's gRPC interface: V2's service or Seldon's, whichever is the graph's protocol."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from fairtrial_graphs.backends.local.executor import wire
from fairtrial_graphs.backends.local.executor.graph import Call, Graph, GraphNode
from fairtrial_graphs.backends.local.executor.grpc_client import (
    OPTIONS,
    V2_SERVICE,
    CallFailed,
    GrpcClient,
    Metadata,
    spelled,
)
from fairtrial_graphs.backends.local.executor.messages import BadMessage, Message
from fairtrial_graphs.backends.local.executor.metrics import Metrics
from fairtrial_graphs.backends.local.executor.protobuf_payloads import (
    ProtobufPayloads,
    name_in,
    named,
    protobuf,
)
from fairtrial_graphs.backends.local.executor.request_log import RequestLog
from fairtrial_graphs.backends.local.executor.walk import Walk

_PUID = "seldon-puid"
#: The proxy names the arm's own model with it; a node would take it for its own.
_MODEL = "x-fairtrial-model"
#: Of one call or connection: these do not travel on. Nor do those of gRPC itself.
_OWN = frozenset({"user-agent", "content-type", "te", "host", _MODEL})
_GRACE = 1.0  # seconds

Handler = Callable[[bytes, Metadata], Awaitable[bytes]]


@asynccontextmanager
async def serving(
    graph: Graph, port: int, metrics: Metrics, log: RequestLog, is_ready: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[None]:
    """Answers on this port of 127.0.0.1. Raises RuntimeError if the port is in use."""
    client = GrpcClient(graph, metrics)
    # Without this two servers can share a port, and neither is told.
    server = grpc.aio.server(options=(*OPTIONS, ("grpc.so_reuseport", 0)))
    server.add_generic_rpc_handlers((_Service(graph, client, metrics, log, is_ready),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(_GRACE)
        await client.close()


class _Service(grpc.GenericRpcHandler):
    def __init__(
        self,
        graph: Graph,
        client: GrpcClient,
        metrics: Metrics,
        log: RequestLog,
        is_ready: Callable[[], Awaitable[bool]],
    ) -> None:
        self._graph = graph
        self._client = client
        self._metrics = metrics
        self._log = log
        self._is_ready = is_ready
        handlers: dict[str, Handler] = (
            {
                f"{V2_SERVICE}/ModelInfer": self._infer,
                f"{V2_SERVICE}/ModelReady": self._model_ready,
                f"{V2_SERVICE}/ModelMetadata": self._model_metadata,
                f"{V2_SERVICE}/ServerLive": _live,
                f"{V2_SERVICE}/ServerReady": self._server_ready,
            }
            if graph.protocol == "v2"
            else {
                "/seldon.protos.Seldon/Predict": self._predict,
                "/seldon.protos.Seldon/SendFeedback": self._send_feedback,
            }
        )
        self._handlers = {
            path: grpc.unary_unary_rpc_method_handler(self._timed(path, handler))
            for path, handler in handlers.items()
        }

    def service(self, handler_call_details: Any) -> Any:
        return self._handlers.get(handler_call_details.method)

    def _timed(self, path: str, handler: Handler) -> Any:
        async def handle(body: bytes, context: Any) -> bytes:
            metadata = _forwarded(context.invocation_metadata() or ())
            await context.send_initial_metadata(((_PUID, _puid(metadata)),))
            start, code, why = time.perf_counter(), grpc.StatusCode.OK, ""
            try:
                answer = await handler(body, metadata)
            except CallFailed as error:
                answer, code, why = b"", error.code, str(error)
            except BadMessage as error:
                # What Go's gRPC makes of an error that has no status.
                answer, code, why = b"", grpc.StatusCode.UNKNOWN, str(error)
            self._metrics.served(path, "unary", spelled(code), time.perf_counter() - start)
            if code is not grpc.StatusCode.OK:
                await context.abort(code, why)
            return answer

        return handle

    async def _infer(self, body: bytes, metadata: Metadata) -> bytes:
        answer = await self._walk(metadata).predict(self._graph.root, protobuf(body))
        if not answer.answered:
            raise BadMessage("no node of the graph answered")
        return answer.body

    async def _predict(self, body: bytes, metadata: Metadata) -> bytes:
        return (await self._walk(metadata).predict(self._graph.root, protobuf(body))).body

    async def _send_feedback(self, body: bytes, metadata: Metadata) -> bytes:
        said = await self._walk(metadata).feedback(self._graph.root, protobuf(body))
        # A graph that nobody tells gives the feedback back, which is no answer of this service.
        return b"" if said.body is body else said.body

    async def _model_ready(self, body: bytes, metadata: Metadata) -> bytes:
        node = self._node(body)
        if node.grpc_port is None:
            return await self._server_ready(body, metadata)
        return await self._client.call(node, f"{V2_SERVICE}/ModelReady", named(body, node.name), metadata)

    async def _model_metadata(self, body: bytes, metadata: Metadata) -> bytes:
        node = self._node(body)
        if node.grpc_port is None:
            return wire.written([wire.text(1, node.name), wire.text(3, node.implementation or "")])
        return await self._client.call(node, f"{V2_SERVICE}/ModelMetadata", named(body, node.name), metadata)

    async def _server_ready(self, _: bytes, _metadata: Metadata) -> bytes:
        return wire.written([wire.whole(1, int(await self._is_ready()))])

    def _walk(self, metadata: Metadata) -> Walk:
        async def ask(node: GraphNode, call: Call, message: Message) -> Message:
            return await self._client.ask(node, call, message, metadata)

        note = self._log.of(_puid(metadata), dict(metadata))
        return Walk(self._graph, ProtobufPayloads(self._graph.protocol), ask, random.random, note)

    def _node(self, body: bytes) -> GraphNode:
        """The one that is named. Through the split a caller knows no names: any other is the first node's."""
        name = name_in(body)
        nodes = {node.name: node for node in self._graph.root.walk()}
        return nodes.get(name, self._graph.root)


async def _live(_: bytes, _metadata: Metadata) -> bytes:
    return wire.written([wire.whole(1, 1)])


def _puid(metadata: Metadata) -> str:
    return next(str(value) for key, value in metadata if key == _PUID)


def _forwarded(metadata: Any) -> Metadata:
    """What the nodes get of a call's metadata, with a Seldon-Puid, kept or made."""
    kept = tuple(
        (key, value) for key, value in metadata if key not in _OWN and not key.startswith(("grpc-", ":"))
    )
    if any(key == _PUID for key, _ in kept):
        return kept
    return (*kept, (_PUID, str(uuid.uuid4())))
