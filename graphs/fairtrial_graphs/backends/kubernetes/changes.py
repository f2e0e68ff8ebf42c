"""What stands between a SeldonDeployment as it is and as it is wanted. Pure: manifests are plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairtrial_graphs.backends.interface import NotReady
from fairtrial_graphs.backends.kubernetes.drift import differences
from fairtrial_graphs.backends.kubernetes.kinds import SELDON_DEPLOYMENT
from fairtrial_graphs.routes.routed import service_called
from fairtrial_graphs.seldon.types import SeldonDeployment

Object = dict[str, Any]


def growing(wanted: Mapping[str, Any], found: Mapping[str, Any] | None) -> list[str]:
    """Predictors that are new, or changed in more than their share of the traffic."""
    known = {each["name"]: each for each in ((found or {}).get("spec") or {}).get("predictors") or ()}

    def grows(predictor: Mapping[str, Any]) -> bool:
        lasting = {key: value for key, value in predictor.items() if key != "traffic"}
        return predictor["name"] not in known or bool(list(differences(lasting, known[predictor["name"]])))

    return [each["name"] for each in wanted["spec"]["predictors"] if grows(each)]


def leaving(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Predictors that serve, and are not wanted any more."""
    kept = {each["name"] for each in wanted["spec"]["predictors"]}
    return [each for each in found["spec"]["predictors"] if each["name"] not in kept]


def beside(wanted: Object, found: Mapping[str, Any]) -> Object:
    """What is wanted beside what serves, with the traffic as it is."""
    traffic = {each["name"]: each.get("traffic") or 0 for each in found["spec"]["predictors"]}
    if len(traffic) == 1:
        traffic = dict.fromkeys(traffic, 100)
    fresh = [{**each, "traffic": traffic.get(each["name"], 0)} for each in wanted["spec"]["predictors"]]
    old = [{**each, "traffic": traffic[each["name"]]} for each in leaving(wanted, found)]
    return {**wanted, "spec": {**wanted["spec"], "predictors": [*old, *fresh]}}


def in_namespace(deployment: SeldonDeployment, namespace: str) -> SeldonDeployment:
    """The same deployment there. Raises NotReady if it says that it is of another namespace."""
    said = deployment.metadata.namespace
    if said not in (None, namespace):
        raise NotReady(
            f"the SeldonDeployment is of namespace {said}, and the run of {namespace}: say --namespace {said}"
        )
    metadata = deployment.metadata.model_copy(update={"namespace": namespace})
    return deployment.model_copy(update={"metadata": metadata})


def owned(resource: Mapping[str, Any], namespace: str, owner: Mapping[str, Any]) -> Object:
    """The resource in this namespace, removed by the cluster with the SeldonDeployment `owner`."""
    reference = {
        "apiVersion": SELDON_DEPLOYMENT.api_version,
        "kind": SELDON_DEPLOYMENT.name,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    metadata = {**resource["metadata"], "namespace": namespace, "ownerReferences": [reference]}
    return {**resource, "metadata": metadata}


def where(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Namespace and name."""
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def service(manifest: Mapping[str, Any], predictor: Mapping[str, Any]) -> str:
    """The name of a predictor's Service."""
    name = f"{manifest['metadata']['name']}-{predictor['name']}"
    return service_called(name, predictor.get("annotations"))
