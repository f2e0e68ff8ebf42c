"""What the whole graph takes and gives, of what its nodes say of themselves. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairtrial_graphs.backends.local.executor.graph import Graph, GraphNode

Metadata = Mapping[str, Any]

_OF_NODES = ("name", "platform", "versions", "inputs", "outputs", "custom")


def graph_metadata(graph: Graph, of_nodes: Mapping[str, Metadata]) -> dict[str, Any]:
    """`of_nodes` is what each node's server answered, by the node's name."""
    models = {name: _known(metadata) for name, metadata in sorted(of_nodes.items())}
    return {
        "name": graph.predictor,
        "models": models,
        "graphinputs": models[_first(graph.root).name].get("inputs"),
        "graphoutputs": models[_last(graph.root).name].get("outputs"),
    }


def _known(metadata: Metadata) -> dict[str, Any]:
    """Without fields that are none of Seldon's, or empty; an empty list of tensors is kept."""
    lists = {name: metadata[name] for name in ("inputs", "outputs") if metadata.get(name) is not None}
    return {name: metadata[name] for name in _OF_NODES if metadata.get(name) or name in lists}


def _first(node: GraphNode) -> GraphNode:
    """The node that a request comes to: several children take the same."""
    if not node.children or node.type in ("MODEL", "TRANSFORMER"):
        return node
    return _first(node.children[0])


def _last(node: GraphNode) -> GraphNode:
    """The node that an answer comes from."""
    if not node.children or node.type in ("OUTPUT_TRANSFORMER", "COMBINER"):
        return node
    return _last(node.children[0])
