"""The manifests of a step, for each plane that can run it and each way that brings requests to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fairtrial_graphs.backends.interface import Route, Unsupported
from fairtrial_graphs.core2.build import core2_of
from fairtrial_graphs.routes.ambassador import ambassador
from fairtrial_graphs.routes.gateway_api import gateway_api
from fairtrial_graphs.routes.istio import istio
from fairtrial_graphs.routes.routed import Routed
from fairtrial_graphs.seldon.types import SeldonDeployment

from fairtrial.errors import UsageError

#: `seldon` is Seldon Core 1, and what the local backend runs too.
Plane = Literal["seldon", "core2"]
PLANES: tuple[Plane, ...] = ("seldon", "core2")

Router = Callable[[SeldonDeployment, Route, str | None], Routed]
ROUTES: Mapping[str, Router] = {"istio": istio, "gateway-api": gateway_api, "ambassador": ambassador}


@dataclass(frozen=True)
class Manifests:
    documents: tuple[Mapping[str, Any], ...]  # in the order of applying
    notes: tuple[str, ...]  # sentences: what the experiment says and these do not do


def manifests_of(
    deployment: SeldonDeployment,
    requests: Route,
    *,
    plane: Plane = "seldon",
    route: str | None = None,
    gateway: str | None = None,
) -> Manifests:
    """Of what is to be served, as `Plan.at_step` has it.

    `gateway` is what a route calls the gateway: see `fairtrial_graphs.routes`.

    Raises UsageError for what the plane or the route cannot do.
    """
    if gateway is not None and route is None:
        raise UsageError("--gateway is of a route; say which with --route")
    if plane == "core2" and route is not None:
        raise UsageError(f"--route {route}: Core 2 routes by its own Experiment; leave --route out")
    try:
        if plane == "core2":
            core2 = core2_of(deployment, requests)
            documents = tuple(resource.to_dict() for resource in core2.resources)
            return Manifests(documents, (*core2.notes, *_unreachable(deployment)))
        routed = ROUTES[route](deployment, requests, gateway) if route else Routed(deployment, (), ())
    except Unsupported as error:
        raise UsageError(f"{route or plane} cannot run this:\n{error}") from error
    documents = (routed.deployment.to_dict(), *routed.resources)
    return Manifests(documents, (*routed.notes, *_unreachable(deployment)))


def _unreachable(deployment: SeldonDeployment) -> Iterator[str]:
    for predictor in deployment.spec.predictors:
        for _, node in predictor.graph.walk(""):
            if (node.modelUri or "").startswith("file:"):
                yield f"{node.name} is a file of this machine ({node.modelUri}), which no cluster can fetch"
