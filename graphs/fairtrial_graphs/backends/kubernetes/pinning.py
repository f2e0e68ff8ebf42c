"""Ports of a predictor's containers, said rather than left to Seldon Core.

Its webhook numbers the ports of all containers of a SeldonDeployment through, predictor by predictor: 9000
for the first, 9001 for the second. Once the first predictor is removed the second has other ports, and so its
pods are started anew, in the moment in which it is the only one that serves. Each predictor has pods of its
own, and may as well begin at 9000.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fairtrial_graphs.seldon.rules.nodes import EXECUTOR_IMPLEMENTATIONS

Manifest = dict[str, Any]

#: Names as the webhook looks for them, and the first number of each, where nothing else is configured.
_PORTS = {"http": 9000, "grpc": 9500, "metrics": 6000}


def pinned(predictor: Manifest) -> Manifest:
    """The same predictor with the ports of every container that serves a node of its graph."""
    components = [dict(each) for each in predictor.get("componentSpecs") or ()]
    number = 0
    for node in _nodes(predictor["graph"]):
        if _pin(components, node["name"], number) or (
            _is_prepackaged(node) and _add(components, node, number)
        ):
            number += 1
    return {**predictor, "componentSpecs": components} if components else predictor


def pinned_as_it_is(found: Mapping[str, Any]) -> Manifest:
    """A predictor of the cluster as it stands, with the ports said that the webhook has given its nodes."""
    given = {node["name"]: node.get("endpoint") or {} for node in _nodes(found["graph"])}
    components: list[Manifest] = []
    for component in found.get("componentSpecs") or ():
        spec = component.get("spec") or {}
        containers = [
            _with_those(container, given.get(container["name"]) or {})
            for container in spec.get("containers") or ()
        ]
        components.append(
            {**component, "spec": {**spec, "containers": containers}} if containers else component
        )
    return {**found, "componentSpecs": components} if components else dict(found)


def _with_those(container: Mapping[str, Any], endpoint: Mapping[str, Any]) -> Manifest:
    there: list[Manifest] = [*(container.get("ports") or ())]
    names = {port.get("name") for port in there}
    # In the order in which Seldon Core adds them to the pod, which then stays what it is.
    fresh = [
        {"name": name, "containerPort": endpoint[field], "protocol": "TCP"}
        for name, field in (("http", "httpPort"), ("grpc", "grpcPort"))
        if name not in names and endpoint.get(field)
    ]
    return {**container, "ports": [*there, *fresh]} if fresh else dict(container)


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("children") or ():
        yield from _nodes(child)


def _is_prepackaged(node: Mapping[str, Any]) -> bool:
    """Whether the webhook makes its container, from `predictor_servers`."""
    said = node.get("implementation")
    return bool(said) and said not in EXECUTOR_IMPLEMENTATIONS and said != "UNKNOWN_IMPLEMENTATION"


def _pin(components: list[Manifest], node: str, number: int) -> bool:
    """Say the ports of this node's container; False if it has none yet."""
    for component in components:
        spec = component.get("spec") or {}
        containers: list[Manifest] = [*(spec.get("containers") or ())]
        for at, container in enumerate(containers):
            if container["name"] == node:
                containers[at] = _with_ports(container, number)
                component["spec"] = {**spec, "containers": containers}
                return True
    return False


def _add(components: list[Manifest], node: Mapping[str, Any], number: int) -> bool:
    """A container where the webhook would make one, in the first pod; it adds the image."""
    if not components:
        components.append({})
    spec = components[0].get("spec") or {}
    fresh = _with_ports({"name": node["name"]}, number)
    components[0]["spec"] = {**spec, "containers": [*(spec.get("containers") or ()), fresh]}
    return True


def _with_ports(container: Manifest, number: int) -> Manifest:
    there: list[Manifest] = [*(container.get("ports") or ())]
    names = {port.get("name") for port in there}
    fresh = [
        {"name": name, "containerPort": first + number, "protocol": "TCP"}
        for name, first in _PORTS.items()
        if name not in names
    ]
    return {**container, "ports": [*there, *fresh]} if fresh else container
