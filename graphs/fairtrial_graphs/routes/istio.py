"""Istio, through the VirtualService and the DestinationRules that Seldon Core makes itself."""

from __future__ import annotations

from collections.abc import Iterator

from fairtrial_graphs.backends.interface import Route
from fairtrial_graphs.routes.routed import Routed, with_annotations
from fairtrial_graphs.seldon.types import SeldonDeployment

GATEWAY = "seldon.io/istio-gateway"
HOST = "seldon.io/istio-host"


def istio(
    deployment: SeldonDeployment, route: Route, gateway: str | None = None, host: str | None = None
) -> Routed:
    """The deployment with the annotations that Seldon Core reads; without any, its defaults hold.

    Seldon Core owns the VirtualService and puts back whatever another hand changes in it, so that nothing
    beyond its annotations can be said: see the notes.
    """
    annotations = {name: value for name, value in ((GATEWAY, gateway), (HOST, host)) if value}
    return Routed(with_annotations(deployment, annotations), (), tuple(_notes(deployment, route)))


def _notes(deployment: SeldonDeployment, route: Route) -> Iterator[str]:
    if len(deployment.receiving) < 2:
        return
    if route.sticky is not None:
        yield (
            "Seldon Core's VirtualService draws each request anew: Istio's consistent hash chooses among the "
            "pods of an arm, never among arms"
        )
    yield (
        "Seldon Core moves the weights only while every Deployment of the resource is ready; "
        "roll back by removing the predictor, and then remove its DestinationRule, which is left behind"
    )
