"""Asks the servers of a graph's nodes, over REST."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from fairtrial_graphs.backends.local.executor.graph import Call, Graph, GraphNode
from fairtrial_graphs.backends.local.executor.messages import Message
from fairtrial_graphs.backends.local.executor.metrics import Metrics

#: Headers of a connection or of one body, which do not travel on to the nodes. The rest does.
_OWN = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_V2_CALLS: Mapping[Call, str] = {
    "predict": "infer",
    "transform-input": "infer",
    "transform-output": "infer",
    "route": "route",
    "aggregate": "aggregate",
    "send-feedback": "feedback",
}


class NodeFailed(Exception):
    """A node did not answer, or not with 200. `answer` is what it said."""

    def __init__(self, message: str, status: int = 500, answer: Message | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.answer = answer


def forwarded(headers: Mapping[str, str]) -> dict[str, str]:
    """What the nodes get of a request's headers."""
    return {name: value for name, value in headers.items() if name.lower() not in _OWN}


@dataclass(frozen=True)
class Client:
    graph: Graph
    session: aiohttp.ClientSession
    metrics: Metrics

    async def ask(
        self, node: GraphNode, call: Call, message: Message, headers: Mapping[str, str], model: str | None
    ) -> Message:
        """`model` stands in for the node's name in v2 paths. Raises NodeFailed."""
        name = model or node.name
        path = f"/v2/models/{name}/{_V2_CALLS[call]}" if self.graph.protocol == "v2" else f"/{call}"
        headers = {**headers, "Content-Type": message.content_type}
        if message.encoding:
            headers["Content-Encoding"] = message.encoding
        try:
            return await self._send("POST", node, name, path, headers, message.body)
        except NodeFailed as error:
            if call == "route":  # what a router says of its failure reaches no caller, in Seldon's executor
                raise NodeFailed(str(error), error.status) from error
            raise

    async def status(self, node: GraphNode, headers: Mapping[str, str]) -> Message:
        """Raises NodeFailed."""
        path = f"/v2/models/{node.name}/ready" if self.graph.protocol == "v2" else "/health/status"
        return await self._send("GET", node, node.name, path, headers, None)

    async def metadata(self, node: GraphNode, headers: Mapping[str, str]) -> Message:
        """Raises NodeFailed."""
        path = f"/v2/models/{node.name}" if self.graph.protocol == "v2" else "/metadata"
        return await self._send("GET", node, node.name, path, headers, None)

    async def _send(
        self,
        method: str,
        node: GraphNode,
        name: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Message:
        url = f"http://127.0.0.1:{node.port}{path}"
        start = time.perf_counter()
        try:
            async with self.session.request(method, url, data=body, headers=headers) as response:
                content = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            why = str(error) or f"no answer within {self.graph.timeout:g} s"
            raise NodeFailed(f'{method.title()} "{url}": {why}') from error
        self.metrics.asked(name, path, method, response.status, time.perf_counter() - start)
        answer = Message(
            content,
            response.headers.get("Content-Type", ""),
            response.headers.get("Content-Encoding", ""),
        )
        if response.status != 200:
            raise NodeFailed(
                f"Internal service call from executor failed calling {url} status code {response.status}",
                response.status,
                answer,
            )
        return answer
