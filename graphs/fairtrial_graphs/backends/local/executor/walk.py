"""The way of one request through the graph. What a node is asked is the caller's to send."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from fairtrial_graphs.backends.local.executor.graph import Call, Graph, GraphNode
from fairtrial_graphs.backends.local.executor.messages import (
    ALL_CHILDREN,
    NO_CHILD,
    BadMessage,
    Kind,
    Message,
    Payloads,
)

#: Asks a node's server, and returns its answer or raises.
Ask = Callable[[GraphNode, Call, Message], Awaitable[Message]]

#: Writes a message into the request log, if the node has one.
Note = Callable[[GraphNode, Kind, Message], None]


@dataclass
class Walk:
    """One request. `draw` gives a number in [0, 1). What `ask` raises passes through; raises BadMessage."""

    graph: Graph
    payloads: Payloads
    ask: Ask
    draw: Callable[[], float]
    note: Note = lambda _node, _kind, _message: None
    routing: dict[str, int] = field(default_factory=dict[str, int])

    async def predict(self, node: GraphNode, message: Message) -> Message:
        message = await self._transform_input(node, message)
        if node.children:
            message = await self._children(node, message)
        if node.calls("transform-output"):
            message = await self._ask_noted(node, "transform-output", self.payloads.chained(message))
        return self.payloads.with_routing(message, self.routing) if self.graph.inject_routing else message

    async def feedback(self, node: GraphNode, message: Message) -> Message:
        self.note(node, "feedback", message)
        if node.children:
            route = self.payloads.route_of_feedback(message, node.name)
            if route == ALL_CHILDREN:
                await _all(self.feedback(child, message) for child in node.children)
            else:
                await self.feedback(_child(node, route), message)
        # With other protocols the executor has no one to tell.
        if node.calls("send-feedback") and self.graph.protocol == "seldon":
            return await self.ask(node, "send-feedback", message)
        return message

    async def _transform_input(self, node: GraphNode, message: Message) -> Message:
        if node.implementation == "SIMPLE_MODEL":
            self.routing[node.name] = ALL_CHILDREN
            return self.payloads.simple_model()
        for call in ("transform-input", "predict"):
            if node.calls(call):
                message = self.payloads.chained(message)
                self.routing[node.name] = ALL_CHILDREN
                return await self._ask_noted(node, call, message)
        return message

    async def _children(self, node: GraphNode, message: Message) -> Message:
        self.note(node, "request", message)
        route = await self._route(node, message)
        if route == NO_CHILD:
            self.routing[node.name] = NO_CHILD
            return message
        if route == ALL_CHILDREN:
            answers = await _all(self.predict(child, message) for child in node.children)
        else:
            answers = [await self.predict(_child(node, route), message)]
        self.routing[node.name] = route
        answer = await self._aggregate(node, message, answers)
        self.note(node, "response", answer)
        return answer

    async def _aggregate(self, node: GraphNode, message: Message, answers: Sequence[Message]) -> Message:
        if node.calls("aggregate"):
            self.routing[node.name] = ALL_CHILDREN
            # The executor logs a combiner's request twice, and its answer: as one with children, too.
            self.note(node, "request", message)
            answer = await self.ask(node, "aggregate", self.payloads.combined(answers))
            self.note(node, "response", answer)
            return answer
        if node.implementation == "AVERAGE_COMBINER":
            return self.payloads.averaged(answers)
        return answers[0]

    async def _ask_noted(self, node: GraphNode, call: Call, message: Message) -> Message:
        self.note(node, "request", message)
        answer = await self.ask(node, call, message)
        self.note(node, "response", answer)
        return answer

    async def _route(self, node: GraphNode, message: Message) -> int:
        if node.calls("route"):
            return self.payloads.route_in(await self.ask(node, "route", message))
        if node.implementation == "SIMPLE_ROUTER":
            return 0
        if node.implementation == "RANDOM_ABTEST":
            return 0 if self.draw() < ratio_a(node) else 1
        return ALL_CHILDREN


def ratio_a(node: GraphNode) -> float:
    """The share of RANDOM_ABTEST's first child: what the parameter says where it is the only one."""
    parameters = node.parameters or {}
    if list(parameters) != ["ratioA"]:
        return 0.5
    try:
        return float(parameters["ratioA"])
    except ValueError as error:
        raise BadMessage(f'ratioA of {node.name} is "{parameters["ratioA"]}", not a number') from error


def _child(node: GraphNode, route: int) -> GraphNode:
    if not 0 <= route < len(node.children):
        raise BadMessage(f"{node.name} has {len(node.children)} children and was routed to number {route}")
    return node.children[route]


async def _all(walks: Iterable[Awaitable[Message]]) -> Sequence[Message]:
    """All answers, in order. The first that failed is raised once all have ended, as the executor waits."""
    results = await asyncio.gather(*walks, return_exceptions=True)
    answers: list[Message] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        answers.append(result)
    return answers
