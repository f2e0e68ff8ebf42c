"""Asks the servers of a graph's nodes, over gRPC. Messages are bytes: the walk looks into them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import grpc

from fairtrial_graphs.backends.local.executor.graph import Call, Graph, GraphNode
from fairtrial_graphs.backends.local.executor.messages import Message
from fairtrial_graphs.backends.local.executor.metrics import Metrics
from fairtrial_graphs.backends.local.executor.protobuf_payloads import named, protobuf

#: Key and value pairs; values of keys that end in -bin are bytes.
Metadata = tuple[tuple[str, str | bytes], ...]

V2_SERVICE = "/inference.GRPCInferenceService"
#: Of messages either way, and soon again at a node that has been started again.
OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_SELDON_CALLS: Mapping[Call, str] = {
    "predict": "Model/Predict",
    "transform-input": "Transformer/TransformInput",
    "transform-output": "OutputTransformer/TransformOutput",
    "route": "Router/Route",
    "aggregate": "Combiner/Aggregate",
    "send-feedback": "Model/SendFeedback",
}
_V2_INFERS = frozenset({"predict", "transform-input", "transform-output"})


class CallFailed(Exception):
    """A node did not answer, or not with OK; the message says why."""

    def __init__(self, code: grpc.StatusCode, why: str) -> None:
        super().__init__(why)
        self.code = code


class GrpcClient:
    """Its channels are for the event loop in which it is made."""

    def __init__(self, graph: Graph, metrics: Metrics) -> None:
        self._graph = graph
        self._metrics = metrics
        self._channels = {
            port: grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS)
            for port in {node.grpc_port for node in graph.root.walk()}
            if port is not None
        }

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()

    async def ask(self, node: GraphNode, call: Call, message: Message, metadata: Metadata) -> Message:
        """Raises CallFailed, BadMessage."""
        if self._graph.protocol == "seldon":
            path = f"/seldon.protos.{_SELDON_CALLS[call]}"
            return protobuf(await self.call(node, path, message.body, metadata))
        if call not in _V2_INFERS:
            raise CallFailed(
                grpc.StatusCode.UNIMPLEMENTED, f"protocol v2 has no {call}, which {node.name} needs"
            )
        body = named(message.body, node.name)
        return protobuf(await self.call(node, f"{V2_SERVICE}/ModelInfer", body, metadata), answered=True)

    async def call(self, node: GraphNode, path: str, body: bytes, metadata: Metadata) -> bytes:
        """Raises CallFailed."""
        channel = self._channels.get(node.grpc_port or 0)
        if channel is None:
            raise CallFailed(grpc.StatusCode.UNAVAILABLE, f"{node.name} has no server")
        call: Any = channel.unary_unary(path)
        start, code = time.perf_counter(), grpc.StatusCode.OK
        try:
            answer = await call(body, metadata=metadata, timeout=self._graph.grpc_timeout)
        except grpc.aio.AioRpcError as error:
            code = error.code()
            raise CallFailed(code, error.details() or f"{node.name} answered {code.name}") from error
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        finally:
            self._metrics.asked(node.name, path, "unary", spelled(code), time.perf_counter() - start)
        return answer


def spelled(code: grpc.StatusCode) -> str:
    """A status as Go writes it, which the executor's metrics have as their label."""
    if code is grpc.StatusCode.OK:
        return "OK"
    if code is grpc.StatusCode.CANCELLED:
        return "Canceled"
    return "".join(word.title() for word in code.name.split("_"))
