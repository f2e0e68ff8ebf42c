"""The inference graph that an executor walks, as data that fits through a JSON file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

#: Where a node's server listens on this machine: REST, gRPC.
NodePorts = tuple[int, int]

Call = Literal["predict", "transform-input", "transform-output", "route", "aggregate", "send-feedback"]

_CALLS_OF_TYPE: Mapping[str, frozenset[Call]] = {
    "MODEL": frozenset({"predict", "send-feedback"}),
    "TRANSFORMER": frozenset({"transform-input"}),
    "OUTPUT_TRANSFORMER": frozenset({"transform-output"}),
    "ROUTER": frozenset({"route", "send-feedback"}),
    "COMBINER": frozenset({"aggregate"}),
}
_CALL_OF_METHOD: Mapping[str, Call] = {
    "TRANSFORM_INPUT": "transform-input",
    "TRANSFORM_OUTPUT": "transform-output",
    "ROUTE": "route",
    "AGGREGATE": "aggregate",
    "SEND_FEEDBACK": "send-feedback",
}


@dataclass(frozen=True)
class GraphNode:
    """The ports are those of the node's server on this machine; None: the executor is the node itself."""

    name: str
    type: str | None = None
    methods: tuple[str, ...] = ()
    implementation: str | None = None
    parameters: Mapping[str, str] | None = None
    image: str = ""
    log_url: str = ""  # where its requests are logged
    log_mode: str = ""  # request, response or all
    port: int | None = None
    grpc_port: int | None = None
    children: tuple[GraphNode, ...] = ()

    def calls(self, call: Call) -> bool:
        """Whether the node's server is asked this."""
        if self.port is None:
            return False
        of_methods = {_CALL_OF_METHOD[method] for method in self.methods if method in _CALL_OF_METHOD}
        return call in _CALLS_OF_TYPE.get(self.type or "", ()) or call in of_methods

    def walk(self) -> Iterator[GraphNode]:
        yield self
        for child in self.children:
            yield from child.walk()

    def at(self, ports: Mapping[str, NodePorts]) -> GraphNode:
        """The same with the ports of the servers of these nodes, by name, here and below."""
        children = tuple(child.at(ports) for child in self.children)
        port, grpc_port = ports.get(self.name, (None, None))
        return replace(self, port=port, grpc_port=grpc_port, children=children)


@dataclass(frozen=True)
class Graph:
    deployment: str
    predictor: str
    version: str  # the predictor's annotation of this name, "" without
    protocol: Literal["seldon", "v2"]
    root: GraphNode
    timeout: float | None = None  # seconds that a node may take; None: for ever
    grpc_timeout: float | None = None  # the same for a gRPC call
    namespace: str = "default"
    log_queue: int = 10_000  # messages that may wait to be logged
    inject_routing: bool = False  # SELDON_ENABLE_ROUTING_INJECTION

    def at(self, ports: Mapping[str, NodePorts]) -> Graph:
        return replace(self, root=self.root.at(ports))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def graph_from(data: Mapping[str, Any]) -> Graph:
    """The inverse of `Graph.to_dict`."""
    fields = dict(data)
    fields["root"] = _node_from(data["root"])
    return Graph(**fields)


def _node_from(data: Mapping[str, Any]) -> GraphNode:
    fields = dict(data)
    fields["methods"] = tuple(data["methods"])
    fields["children"] = tuple(_node_from(child) for child in data["children"])
    return GraphNode(**fields)
