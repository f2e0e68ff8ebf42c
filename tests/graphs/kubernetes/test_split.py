"""The split as the gateway has it."""

from __future__ import annotations

from typing import Any

from fairtrial_graphs.backends.kubernetes.split import Split, waiting_for_split, wanted_split

PREDICTORS = [{"name": "v1", "traffic": 90}, {"name": "v2", "traffic": 10}]
WANTED = wanted_split({"spec": {"predictors": PREDICTORS}})


def virtual_service(**weights: int) -> dict[str, Any]:
    route = [{"destination": {"subset": name}, "weight": weight} for name, weight in weights.items()]
    return {"spec": {"http": [{"route": route}, {"route": []}]}}


def test_what_is_wanted_of_a_deployment():
    assert Split({"v1": 90, "v2": 10}, None) == WANTED
    alone = {"spec": {"predictors": [{"name": "v1", "traffic": 0}, {"name": "v2", "shadow": True}]}}
    assert wanted_split(alone) == Split({"v1": 100}, "v2")


def test_weights_that_have_not_moved_are_waited_for_in_words():
    assert waiting_for_split("istio", virtual_service(v1=90, v2=10), WANTED) is None
    assert waiting_for_split("istio", virtual_service(v1=100), WANTED) == (
        "the VirtualService still says v1 100%, not v1 90%, v2 10%"
    )
    assert waiting_for_split("istio", None, WANTED) == "there is no VirtualService yet"
    assert waiting_for_split(None, None, WANTED) is None


def http_route(generation: int, *conditions: dict[str, Any]) -> dict[str, Any]:
    parents = [{"conditions": list(conditions)}] if conditions else []
    return {"metadata": {"generation": generation}, "status": {"parents": parents}}


def test_an_http_route_counts_once_a_gateway_has_taken_it_as_it_is_now():
    good = {"type": "Accepted", "status": "True", "observedGeneration": 2}
    bad = {"type": "ResolvedRefs", "status": "False", "observedGeneration": 2, "message": "no such Service"}
    assert waiting_for_split("gateway-api", http_route(2, good), WANTED) is None
    assert (
        waiting_for_split("gateway-api", http_route(2), WANTED) == "no gateway has accepted the HTTPRoute yet"
    )
    assert waiting_for_split("gateway-api", http_route(3, good), WANTED) == (
        "the gateway has not read the HTTPRoute yet"
    )
    assert waiting_for_split("gateway-api", http_route(2, good, bad), WANTED) == (
        "the gateway does not take the HTTPRoute: no such Service"
    )
