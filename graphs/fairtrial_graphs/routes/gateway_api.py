"""Gateway API: our own HTTPRoute over the Services of the predictors.

Works with any implementation of the API, whether or not Seldon Core knows of a mesh.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fairtrial_graphs.backends.interface import Route, Unsupported
from fairtrial_graphs.build import weights
from fairtrial_graphs.routes.routed import (
    ARM_HEADER,
    HTTP_PORT,
    REVISION_HEADER,
    Routed,
    prefix,
    service_name,
)
from fairtrial_graphs.seldon.types import Predictor, SeldonDeployment

_MOST_BACKENDS = 16  # of a rule, and rules of a route, that the API takes
DEFAULT_GATEWAY = "seldon-gateway"


def gateway_api(deployment: SeldonDeployment, route: Route, gateway: str | None = None) -> Routed:
    """`gateway` is the Gateway's name, or its namespace and name as in `istio-system/public`.

    A request that names an arm in `x-fairtrial-arm` goes to that arm; all others are split. Answers say in
    `x-fairtrial-revision` which split was in force. Raises Unsupported.
    """
    if not deployment.metadata.name:
        raise Unsupported("metadata.name: a route is named after its deployment; name it")
    if len(deployment.spec.predictors) >= _MOST_BACKENDS:
        raise Unsupported(
            f"spec.predictors: an HTTPRoute holds {_MOST_BACKENDS - 1} arms and the split at most"
        )
    return Routed(
        deployment,
        (_http_route(deployment, route, gateway or DEFAULT_GATEWAY),),
        tuple(_notes(deployment, route)),
    )


def _http_route(deployment: SeldonDeployment, route: Route, gateway: str) -> Mapping[str, Any]:
    metadata: dict[str, Any] = {"name": deployment.metadata.name}
    if deployment.metadata.namespace:
        metadata["namespace"] = deployment.metadata.namespace
    if deployment.metadata.labels:
        metadata["labels"] = dict(deployment.metadata.labels)
    where, _, name = gateway.rpartition("/")
    parent = {"name": name, **({"namespace": where} if where else {})}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata,
        "spec": {"parentRefs": [parent], "rules": list(_rules(deployment, route))},
    }


def _rules(deployment: SeldonDeployment, route: Route) -> Iterator[dict[str, Any]]:
    path = {"type": "PathPrefix", "value": prefix(deployment)}
    rewrite = {
        "type": "URLRewrite",
        "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
    }
    for predictor in deployment.spec.predictors:
        yield {
            "matches": [{"path": path, "headers": [_exactly(ARM_HEADER, predictor.name)]}],
            "filters": [rewrite, _revision(route)],
            "backendRefs": [_backend(deployment, predictor)],
        }
    yield {
        "matches": [{"path": path}],
        "filters": [rewrite, _revision(route), *_mirror(deployment)],
        "backendRefs": _split(deployment),
    }


def _split(deployment: SeldonDeployment) -> list[dict[str, Any]]:
    """With the weights of 0 too: they say that the arm is there, and receives nothing."""
    shares = weights(deployment)
    return [
        {**_backend(deployment, predictor), "weight": shares[predictor.name]}
        for predictor in deployment.receiving
    ]


def _mirror(deployment: SeldonDeployment) -> Iterator[dict[str, Any]]:
    for predictor in deployment.spec.predictors:
        if predictor.shadow:
            mirror: dict[str, Any] = {"backendRef": _backend(deployment, predictor)}
            if predictor.traffic not in (None, 0, 100):  # all of it, unless told otherwise
                mirror["percent"] = predictor.traffic
            yield {"type": "RequestMirror", "requestMirror": mirror}


def _backend(deployment: SeldonDeployment, predictor: Predictor) -> dict[str, Any]:
    return {"name": service_name(deployment, predictor), "port": HTTP_PORT}


def _exactly(header: str, value: str) -> dict[str, str]:
    return {"type": "Exact", "name": header, "value": value}


def _revision(route: Route) -> dict[str, Any]:
    header = {"name": REVISION_HEADER, "value": route.revision}
    return {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [header]}}


def _notes(deployment: SeldonDeployment, route: Route) -> Iterator[str]:
    if not deployment.metadata.namespace:
        yield (
            "metadata.namespace: not said, and the route's path has the namespace in it: "
            f"{prefix(deployment)} is right in the namespace default only"
        )
    if route.sticky is not None and len(deployment.receiving) > 1:
        yield (
            "the Gateway API has no stickiness by a value that callers send: each request is drawn anew. Its "
            "sessionPersistence is experimental, and its cookie names a session of the gateway's, not a user"
        )
    yield (
        "the route is for REST; gRPC needs a GRPCRoute with a host name of its own, as a gateway takes one "
        "of the two kinds for a host name"
    )
    if any(p.shadow and p.traffic not in (None, 0, 100) for p in deployment.spec.predictors):
        yield "a mirror of less than all requests needs an implementation of the Gateway API from 1.3 on"
