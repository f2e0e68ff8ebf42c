"""The way of a request through a graph, with nothing but a function for its servers."""

import asyncio
import json
from typing import Any

import pytest
from fairtrial_graphs.backends.local.executor.graph import Call, Graph, GraphNode
from fairtrial_graphs.backends.local.executor.json_payloads import JsonPayloads, escaped
from fairtrial_graphs.backends.local.executor.messages import BadMessage, Message
from fairtrial_graphs.backends.local.executor.walk import Walk


def node(name: str, type: str | None, *children: GraphNode, **more: Any) -> GraphNode:
    return GraphNode(name, type, children=children, **{"port": 1, **more})


def message(content: Any) -> Message:
    return Message(json.dumps(content).encode())


def inner(name: str, implementation: str, *children: GraphNode, **parameters: str) -> GraphNode:
    return GraphNode(name, implementation=implementation, parameters=parameters, children=children)


class Servers:
    """Each answer says who was asked what; `answers` are said instead."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def ask(self, node: GraphNode, call: Call, message: Message) -> Message:
        self.asked.append(f"{node.name}/{call}")
        await asyncio.sleep(0)
        answer = self.answers.get(node.name)
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return Message(json.dumps(answer).encode())
        content = json.loads(message.body)
        if isinstance(content, list):
            return Message(json.dumps({"all": [one["by"] for one in content]}).encode())
        return Message(json.dumps({"meta": {}, "by": [*content.get("by", []), node.name]}).encode())

    def walk(self, root: GraphNode, protocol: Any = "seldon", draw: float = 0.0, **more: Any) -> Walk:
        return Walk(
            Graph("d", "p", "", protocol, root, **more), JsonPayloads(protocol), self.ask, lambda: draw
        )

    def predict(self, root: GraphNode, content: Any = None, **more: Any) -> Any:
        walk = self.walk(root, **more)
        return json.loads(asyncio.run(walk.predict(root, message(content or {}))).body)

    def feedback(self, root: GraphNode, content: Any, **more: Any) -> None:
        asyncio.run(self.walk(root, **more).feedback(root, message(content)))


A, B, C = (node(name, "MODEL") for name in "abc")


def test_a_chain_is_asked_from_the_outside_in_and_its_outputs_on_the_way_back():
    servers = Servers()
    root = node("t", "TRANSFORMER", node("o", "OUTPUT_TRANSFORMER", A))
    assert servers.predict(root)["by"] == ["t", "a", "o"]
    assert servers.asked == ["t/transform-input", "a/predict", "o/transform-output"]


def test_a_combiner_gets_the_answers_of_all_children_in_their_order():
    servers = Servers()
    assert servers.predict(node("c0", "COMBINER", A, B, C)) == {"all": [["a"], ["b"], ["c"]]}
    assert servers.asked[-1] == "c0/aggregate"


def test_children_are_asked_at_the_same_time():
    together = asyncio.Barrier(2)

    async def ask(node: GraphNode, call: Call, message: Message) -> Message:
        await together.wait()
        return message

    root = node("x", None, A, B)
    walk = Walk(Graph("d", "p", "", "seldon", root), JsonPayloads("seldon"), ask, lambda: 0.0)
    asyncio.run(asyncio.wait_for(walk.predict(root, message({})), 5))


@pytest.mark.parametrize(("route", "asked"), [(1, ["b/predict"]), (-1, ["a/predict", "b/predict"]), (-2, [])])
def test_a_router_chooses_one_child_all_or_none(route: int, asked: list[str]):
    servers = Servers(r={"data": {"ndarray": [[route]]}})
    answer = servers.predict(node("r", "ROUTER", A, B), {"by": []})
    assert servers.asked == ["r/route", *asked]
    assert answer["by"] == [one[0] for one in asked][:1]


@pytest.mark.parametrize("route", [2, -3])
def test_a_route_to_a_child_that_is_not_there_is_an_error(route: int):
    with pytest.raises(BadMessage, match=rf"r has 2 children and was routed to number {route}"):
        Servers(r={"data": {"ndarray": [[route]]}}).predict(node("r", "ROUTER", A, B))


@pytest.mark.parametrize(
    ("answer", "route"),
    [
        ({"data": {"ndarray": [[1]]}}, 1),
        ({"data": {"ndarray": [1]}}, 1),
        ({"data": {"tensor": {"shape": [1, 1], "values": [1]}}}, 1),
        ([1], 1),
        ({"data": {}}, -1),
        ({"strData": "x"}, -1),
    ],
)
def test_every_form_of_a_route_is_read(answer: Any, route: int):
    assert JsonPayloads("seldon").route_in(message(answer)) == route


@pytest.mark.parametrize("answer", [{"data": {"ndarray": []}}, [], "x", {"data": {"ndarray": [["b"]]}}])
def test_a_router_that_names_no_branch_is_an_error(answer: Any):
    with pytest.raises(BadMessage):
        Servers(r=answer).predict(node("r", "ROUTER", A, B))


@pytest.mark.parametrize(("draw", "asked"), [(0.89, "a/predict"), (0.9, "b/predict")])
def test_the_ab_test_sends_ratio_a_to_the_first_child(draw: float, asked: str):
    servers = Servers()
    servers.predict(inner("ab", "RANDOM_ABTEST", A, B, ratioA="0.9"), draw=draw)
    assert servers.asked == [asked]


def test_v2_outputs_are_the_inputs_of_the_next_node():
    got: list[Any] = []

    async def ask(node: GraphNode, call: Call, message: Message) -> Message:
        got.append(json.loads(message.body))
        return Message(json.dumps({"model_name": node.name, "outputs": [node.name]}).encode())

    root = node("t", "TRANSFORMER", A)
    walk = Walk(Graph("d", "p", "", "v2", root), JsonPayloads("v2"), ask, lambda: 0.0)
    asyncio.run(walk.predict(root, message({"inputs": ["x"]})))
    assert got == [{"inputs": ["x"]}, {"model_name": "t", "inputs": ["t"]}]


def test_v2_without_inputs_is_an_error_before_anybody_is_asked():
    servers = Servers()
    with pytest.raises(BadMessage):
        servers.predict(A, {"data": 1}, protocol="v2")
    assert not servers.asked


def test_the_first_child_that_fails_fails_the_request_after_all_have_ended():
    servers = Servers(a=RuntimeError("a"), b=RuntimeError("b"))
    with pytest.raises(RuntimeError, match="a"):
        servers.predict(node("c0", "COMBINER", A, B, C))
    assert servers.asked == ["a/predict", "b/predict", "c/predict"]


def test_feedback_goes_the_way_that_the_answer_took():
    servers = Servers()
    root = node("r", "ROUTER", A, node("r2", "ROUTER", B, C))
    routing = {"r": 1, "r2": 0}
    servers.feedback(root, {"response": {"meta": {"routing": routing}}, "reward": 0})
    assert servers.asked == ["b/send-feedback", "r2/send-feedback", "r/send-feedback"]


@pytest.mark.parametrize("content", [{"reward": 1}, {"response": {}}, {"response": {"meta": {}}}, []])
def test_feedback_that_says_no_way_goes_all_ways(content: Any):
    servers = Servers()
    servers.feedback(node("r", "ROUTER", A, B), content)
    assert servers.asked == ["a/send-feedback", "b/send-feedback", "r/send-feedback"]


def test_feedback_is_for_models_and_routers_and_who_asks_for_it():
    servers = Servers()
    root = node(
        "c0", "COMBINER", node("t", "TRANSFORMER", A), node("m", "COMBINER", methods=("SEND_FEEDBACK",))
    )
    servers.feedback(root, {"reward": 1})
    assert sorted(servers.asked) == ["a/send-feedback", "m/send-feedback"]


def test_with_v2_nobody_is_told_of_feedback():
    servers = Servers()
    servers.feedback(node("r", "ROUTER", A), {"reward": 1}, protocol="v2")
    assert not servers.asked


def test_every_node_notes_what_it_is_asked_and_answers_and_those_with_children_that_too():
    noted: list[str] = []
    servers = Servers()
    root = node("t", "TRANSFORMER", node("c0", "COMBINER", A))
    walk = servers.walk(root)
    walk.note = lambda node, kind, message: noted.append(f"{node.name} {kind}")
    asyncio.run(walk.predict(root, message({})))
    of_c = ["c0 request", "a request", "a response", "c0 request", "c0 response", "c0 response"]
    assert noted == ["t request", "t response", "t request", *of_c, "t response"]
    noted.clear()
    asyncio.run(walk.feedback(root, message({"reward": 0})))
    assert noted == ["t feedback", "c0 feedback", "a feedback"]


@pytest.mark.parametrize("inject", [True, False])
def test_the_way_is_written_into_the_answer_where_the_manifest_asks_for_it(inject: bool):
    servers = Servers(r={"data": {"ndarray": [[1]]}})
    answer = servers.predict(node("r", "ROUTER", A, B), inject_routing=inject)
    assert answer["meta"] == ({"routing": {"r": 1, "b": -1}} if inject else {})


def test_the_executors_own_nodes_answer_by_themselves():
    one = inner("one", "SIMPLE_MODEL")
    other = Servers(a={"data": {"tensor": {"shape": [1, 3], "values": [0.3, 0.1, 0.5]}}})
    mean = other.predict(inner("mean", "AVERAGE_COMBINER", one, A))
    assert mean["data"]["tensor"]["values"] == pytest.approx([0.2, 0.5, 0.5])
    assert Servers().predict(inner("first", "SIMPLE_ROUTER", A, B))["by"] == ["a"]
    v2 = Servers().predict(inner("mean", "AVERAGE_COMBINER", one, one), protocol="v2")
    assert v2["outputs"][0]["data"] == [0.1, 0.9, 0.5]


@pytest.mark.parametrize("values", [[[1]], "x", None])
def test_what_cannot_be_averaged_is_an_error_in_words(values: Any):
    servers = Servers(a={"data": {"ndarray": [[1, 2]]}}, b={"data": {"ndarray": values}})
    with pytest.raises(BadMessage, match="not numbers of one shape"):
        servers.predict(inner("mean", "AVERAGE_COMBINER", A, B))


def test_answers_may_stand_in_html():
    text = '{"a": "<b>&\u2028"}'
    assert escaped(text.encode()) == b'{"a": "\\u003cb\\u003e\\u0026\\u2028"}'
    assert json.loads(escaped(text.encode())) == json.loads(text)
