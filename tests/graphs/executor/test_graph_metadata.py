"""What a graph takes and gives, of what its nodes say."""

from typing import Any

import pytest
from fairtrial_graphs.backends.local.executor.graph import Graph, GraphNode
from fairtrial_graphs.backends.local.executor.graph_metadata import graph_metadata


def of(type: str | None, *children: GraphNode, name: str = "x") -> GraphNode:
    return GraphNode(name, type, children=children)


A, B = of("MODEL", name="a"), of("MODEL", name="b")


@pytest.mark.parametrize(
    ("root", "takes", "gives"),
    [
        (A, "a", "a"),
        (of("TRANSFORMER", A), "x", "a"),
        (of("MODEL", A), "x", "a"),
        (of("OUTPUT_TRANSFORMER", A), "a", "x"),
        (of("COMBINER", A, B), "a", "x"),
        (of("ROUTER", B, A), "b", "b"),
        (of("TRANSFORMER", of("COMBINER", A, B, name="c"), name="t"), "t", "c"),
    ],
)
def test_the_graph_takes_what_its_first_node_takes_and_gives_what_its_last_one_gives(
    root: GraphNode, takes: str, gives: str
):
    said = {
        node.name: {"name": node.name, "inputs": [node.name], "outputs": [node.name]} for node in root.walk()
    }
    answer = graph_metadata(Graph("d", "p", "", "seldon", root), said)
    assert (answer["name"], answer["graphinputs"], answer["graphoutputs"]) == ("p", [takes], [gives])
    assert list(answer["models"]) == sorted(said)


def test_of_a_nodes_metadata_what_seldon_knows_is_kept_and_what_is_empty_is_left_out():
    said: dict[str, Any] = {
        "name": "a",
        "platform": "",
        "versions": [],
        "inputs": [],
        "custom": {},
        "other": 1,
    }
    answer = graph_metadata(Graph("d", "p", "", "seldon", A), {"a": said})
    assert answer == {
        "name": "p",
        "models": {"a": {"name": "a", "inputs": []}},
        "graphinputs": [],
        "graphoutputs": None,
    }
