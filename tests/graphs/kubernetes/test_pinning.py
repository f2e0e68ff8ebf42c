"""Ports are said by us where Seldon Core would number them through all predictors."""

from __future__ import annotations

from typing import Any

from fairtrial_graphs.backends.kubernetes.pinning import pinned, pinned_as_it_is


def ports(predictor: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Of each container, by name."""
    return {
        container["name"]: {port["name"]: port["containerPort"] for port in container.get("ports", ())}
        for component in pinned(predictor).get("componentSpecs", ())
        for container in component["spec"]["containers"]
    }


def test_a_prepackaged_server_gets_a_container_that_says_its_ports():
    graph = {"name": "v2", "implementation": "SKLEARN_SERVER"}
    assert ports({"name": "v2", "graph": graph}) == {"v2": {"http": 9000, "grpc": 9500, "metrics": 6000}}


def test_what_a_container_says_itself_stands():
    own = {"name": "v2", "image": "m:1", "ports": [{"name": "http", "containerPort": 8080}]}
    predictor = {"graph": {"name": "v2"}, "componentSpecs": [{"spec": {"containers": [own]}}]}
    assert ports(predictor) == {"v2": {"http": 8080, "grpc": 9500, "metrics": 6000}}


def test_containers_of_one_predictor_do_not_share_ports_and_those_beside_the_graph_are_left_alone():
    containers = [{"name": "sidecar"}, {"name": "b"}]
    graph = {
        "name": "split",
        "implementation": "RANDOM_ABTEST",
        "children": [{"name": "a", "implementation": "SKLEARN_SERVER"}, {"name": "b"}],
    }
    predictor = {"graph": graph, "componentSpecs": [{"spec": {"containers": containers}}]}
    assert ports(predictor) == {
        "sidecar": {},
        "a": {"http": 9000, "grpc": 9500, "metrics": 6000},
        "b": {"http": 9001, "grpc": 9501, "metrics": 6001},
    }


def test_a_node_that_runs_elsewhere_gets_no_container():
    predictor = {"graph": {"name": "far", "endpoint": {"service_host": "far", "service_port": 80}}}
    assert pinned(predictor) == predictor


def test_what_stands_keeps_the_ports_that_the_webhook_has_given_it():
    metrics = {"name": "metrics", "containerPort": 6001}
    found = {
        "name": "v2",
        "graph": {"name": "v2", "endpoint": {"httpPort": 9001, "grpcPort": 9501}},
        "componentSpecs": [
            {"spec": {"containers": [{"name": "v2", "ports": [metrics]}, {"name": "sidecar"}]}}
        ],
    }
    served, sidecar = pinned_as_it_is(found)["componentSpecs"][0]["spec"]["containers"]
    assert [port["containerPort"] for port in served["ports"]] == [6001, 9001, 9501]
    assert sidecar == {"name": "sidecar"}
    assert pinned_as_it_is(pinned_as_it_is(found)) == pinned_as_it_is(found)
