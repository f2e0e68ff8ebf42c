"""What all routers have in common: the branches by name, a route as a message, and what the executor asks of
it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from fairtrial_graph_components.component import Component, counter, meta
from fairtrial_graph_components.parameters import Parameters
from fairtrial_graph_components.policies.payloads import Message, object_of


def unit_id() -> str:
    """The node's name, under which the executor writes its routing."""
    return os.environ.get("PREDICTIVE_UNIT_ID", "0")


def place() -> str:
    """What tells this router from others that use the same Redis."""
    names = (os.environ.get(name, "") for name in ("SELDON_DEPLOYMENT_ID", "PREDICTOR_ID"))
    return ":".join([*names, unit_id()])


class Router(Component):
    def __init__(self, parameters: Parameters) -> None:
        super().__init__()
        self.branches = _branches(parameters)

    def routed(self, message: object, branch: int, *, tags: Message, metrics: list[Message]) -> Message:
        name = self.branches[branch]
        object_of(message, "the message")
        metrics = [counter("fairtrial_router_requests", 1, branch=name), *metrics]
        return {
            "data": {"names": [], "ndarray": [[branch]]},
            "meta": meta({}, tags={f"{unit_id()}.branch": name, **tags}, metrics=metrics),
        }


def branch_of(feedback: Mapping[str, Any]) -> int | None:
    """The branch that the executor says the answer came from, if it says."""
    response = object_of(feedback.get("response") or {}, "response")
    routing = object_of(
        object_of(response.get("meta") or {}, "response.meta").get("routing") or {}, "routing"
    )
    branch = routing.get(unit_id())
    return branch if type(branch) is int else None


def _branches(parameters: Parameters) -> list[str]:
    names = parameters.names("branch_names")
    count = parameters.whole("n_branches", len(names) or None, 1, 1000)
    names = names or [str(index) for index in range(count)]
    if len(names) != count or len(set(names)) != count:
        parameters.refuse(f"parameter branch_names must be {count} different names, with commas between")
    return names
