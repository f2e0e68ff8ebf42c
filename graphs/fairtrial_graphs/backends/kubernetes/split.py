"""How the gateway divides requests, read back from what it obeys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fairtrial_graphs.backends.kubernetes.kinds import HTTP_ROUTE, VIRTUAL_SERVICE, Kind

Manifest = Mapping[str, Any]
RouteName = Literal["istio", "gateway-api"]

ROUTE_KINDS: Mapping[RouteName, Kind] = {"istio": VIRTUAL_SERVICE, "gateway-api": HTTP_ROUTE}


@dataclass(frozen=True)
class Split:
    weights: Mapping[str, int]  # by predictor, those without any left out
    mirror: str | None


def wanted_split(deployment: Manifest) -> Split:
    """Of a SeldonDeployment's manifest."""
    predictors = deployment["spec"]["predictors"]
    receiving = [each for each in predictors if not each.get("shadow")]
    weights = {each["name"]: int(each.get("traffic") or 0) for each in receiving}
    if len(receiving) == 1:
        weights = {receiving[0]["name"]: 100}
    shadow = next((each["name"] for each in predictors if each.get("shadow")), None)
    return Split(_without_zeros(weights), shadow)


def of_virtual_service(found: Manifest) -> Split:
    """Istio's, as Seldon Core makes it: one route for HTTP first, with a subset for each predictor."""
    http = found["spec"]["http"][0]
    weights = {each["destination"].get("subset", ""): int(each.get("weight") or 0) for each in http["route"]}
    if len(weights) == 1:
        weights = dict.fromkeys(weights, 100)
    mirror = http.get("mirror") or {}
    return Split(_without_zeros(weights), mirror.get("subset"))


def waiting_for_split(route: RouteName | None, found: Manifest | None, wanted: Split) -> str | None:
    """What the split still waits for, in words; None if it is in force, or if there is no route."""
    if route is None:
        return None
    kind = ROUTE_KINDS[route].name
    if found is None:
        return f"there is no {kind} yet"
    if route == "gateway-api":
        return _not_accepted(found)
    has = of_virtual_service(found)
    if has == wanted:
        return None
    return f"the {kind} still says {_in_words(has)}, not {_in_words(wanted)}"


def _not_accepted(route: Manifest) -> str | None:
    parents = (route.get("status") or {}).get("parents") or []
    if not parents:
        return "no gateway has accepted the HTTPRoute yet"
    for parent in parents:
        for condition in parent.get("conditions") or ():
            if condition.get("observedGeneration", 0) < route["metadata"]["generation"]:
                return "the gateway has not read the HTTPRoute yet"
            if condition["type"] in ("Accepted", "ResolvedRefs") and condition["status"] != "True":
                why = condition.get("message") or condition["reason"]
                return f"the gateway does not take the HTTPRoute: {why}"
    return None


def _without_zeros(weights: Mapping[str, int]) -> dict[str, int]:
    return {name: weight for name, weight in weights.items() if weight}


def _in_words(split: Split) -> str:
    shares = ", ".join(f"{name} {weight}%" for name, weight in split.weights.items()) or "nobody"
    return f"{shares}, copies to {split.mirror}" if split.mirror else shares
