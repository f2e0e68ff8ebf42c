"""What a route is made of, and the names of what Seldon Core 1 makes of a deployment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairtrial_graphs.seldon.rules import LONGEST_NAME
from fairtrial_graphs.seldon.types import Predictor, SeldonDeployment

HTTP_PORT = 8000  # of the executor, and so of every predictor's Service


@dataclass(frozen=True)
class Routed:
    """A deployment and what brings requests to it."""

    deployment: SeldonDeployment
    resources: tuple[Mapping[str, Any], ...]  # further manifests, to be applied with it
    notes: tuple[str, ...]  # sentences: what this way of routing does not do


def service_name(deployment: SeldonDeployment, predictor: Predictor) -> str:
    """The Service of one predictor."""
    return service_called(f"{deployment.metadata.name}-{predictor.name}", predictor.annotations)


def service_called(name: str, annotations: Mapping[str, str] | None) -> str:
    """What Seldon Core calls the Service of a predictor whose name is `<deployment>-<predictor>`."""
    said = (annotations or {}).get("seldon.io/svc-name")
    if said is not None:
        return said
    if len(name) > LONGEST_NAME:
        return f"seldon-{hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()}"
    return name


def namespace(deployment: SeldonDeployment) -> str:
    return deployment.metadata.namespace or "default"


def prefix(deployment: SeldonDeployment) -> str:
    """Where callers find the split, whatever brings them there."""
    return f"/seldon/{namespace(deployment)}/{deployment.metadata.name}"


def with_annotations(deployment: SeldonDeployment, annotations: Mapping[str, str]) -> SeldonDeployment:
    """The same deployment with these annotations, in place of ones of the same names."""
    if not annotations:
        return deployment
    merged = {**(deployment.metadata.annotations or {}), **annotations}
    metadata = deployment.metadata.model_copy(update={"annotations": merged})
    return deployment.model_copy(update={"metadata": metadata})
