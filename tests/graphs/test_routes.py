"""What brings requests to a deployment's arms, and what each way cannot do."""

from __future__ import annotations

from typing import Any

import pytest
from fairtrial_graphs.backends.interface import Route, Sticky, Unsupported
from fairtrial_graphs.build import Arm, Shadow, build
from fairtrial_graphs.routes.ambassador import ambassador
from fairtrial_graphs.routes.gateway_api import gateway_api
from fairtrial_graphs.routes.istio import istio
from fairtrial_graphs.seldon.text import parse, render

V1, V2, V3 = (Arm(name, f"s3://b/{name}", "SKLEARN_SERVER") for name in ("v1", "v2", "v3"))
CANARY = build("wine", [V1, V2], {"v1": 90, "v2": 10}, shadow=Shadow(V3, 20), namespace="ml")
ROUTE = Route("step-1")
STICKY = Route("step-1", Sticky("x-user"))


def rules(shadow: int) -> Any:
    deployment = build("wine", [V1, V2], {"v1": 100, "v2": 0}, shadow=Shadow(V3, shadow), namespace="ml")
    (route,) = gateway_api(deployment, ROUTE, "istio-system/public").resources
    assert route["spec"]["parentRefs"] == [{"name": "public", "namespace": "istio-system"}]
    return route["spec"]["rules"]


def test_the_gateway_api_splits_over_the_services_and_mirrors_to_the_shadow():
    *arms, split = rules(20)
    assert split["matches"] == [{"path": {"type": "PathPrefix", "value": "/seldon/ml/wine"}}]
    assert split["backendRefs"] == [
        {"name": "wine-v1", "port": 8000, "weight": 100},
        {"name": "wine-v2", "port": 8000, "weight": 0},
    ]
    assert split["filters"][-1] == {
        "type": "RequestMirror",
        "requestMirror": {"backendRef": {"name": "wine-v3", "port": 8000}, "percent": 20},
    }
    assert [(arm["matches"][0]["headers"][0]["value"], arm["backendRefs"]) for arm in arms] == [
        (name, [{"name": f"wine-{name}", "port": 8000}]) for name in ("v1", "v2", "v3")
    ]
    assert all(filter_["type"] != "RequestMirror" for arm in arms for filter_ in arm["filters"])


def test_a_shadow_that_mirrors_all_needs_no_percentage():
    assert "percent" not in rules(100)[-1]["filters"][-1]["requestMirror"]


@pytest.mark.parametrize("annotation", [True, False])
def test_services_are_called_as_seldon_core_calls_them(annotation: bool):
    deployment = build("w" * 50, [Arm("long-name-of-arm", "s3://b/x", "SKLEARN_SERVER")])
    if annotation:
        deployment.spec.predictors[0].annotations = {"seldon.io/svc-name": "mine"}
    (route,) = gateway_api(deployment, ROUTE).resources
    (backend,) = route["spec"]["rules"][-1]["backendRefs"]
    # The md5 of the name, as `md5sum` prints it.
    hashed = "seldon-a480f1e07fe748abbfb86824dbd09eba"
    assert backend["name"] == ("mine" if annotation else hashed)


def test_istio_and_ambassador_are_told_by_annotations_and_the_rest_stays():
    by_hand = parse(render(CANARY).replace("  namespace: ml\n", "  namespace: ml\n  annotations: {a: b}\n"))
    told = istio(by_hand, ROUTE, gateway="ns/gw", host="wine.example.com")
    assert told.deployment.metadata.annotations == {
        "a": "b",
        "seldon.io/istio-gateway": "ns/gw",
        "seldon.io/istio-host": "wine.example.com",
    }
    assert told.deployment.spec == by_hand.spec
    assert istio(by_hand, ROUTE).deployment == by_hand
    assert ambassador(by_hand, ROUTE, "edge").deployment.metadata.annotations == {
        "a": "b",
        "seldon.io/ambassador-id": "edge",
    }


@pytest.mark.parametrize("router", [istio, gateway_api, ambassador])
def test_no_route_pretends_to_be_sticky(router: Any):
    assert any("anew" in note for note in router(CANARY, STICKY).notes)
    assert not any("anew" in note for note in router(CANARY, ROUTE).notes)
    assert not any("anew" in note for note in router(build("wine", [V1]), STICKY).notes)


def test_ambassador_says_what_a_weight_of_0_needs_and_refuses_a_shadow_that_gets_nothing():
    notes = ambassador(build("wine", [V1, V2], {"v1": 100}), ROUTE).notes
    assert any("AMBASSADOR_VERSION=v2" in note and "v2 would get" in note for note in notes)
    unset = parse(render(CANARY).replace("    traffic: 20\n", ""))
    with pytest.raises(Unsupported, match=r"spec\.predictors\.2\.traffic"):
        ambassador(unset, ROUTE)
    first = unset.model_copy(deep=True)
    first.spec.predictors.reverse()
    with pytest.raises(Unsupported, match="put it last"):
        ambassador(first, ROUTE)
