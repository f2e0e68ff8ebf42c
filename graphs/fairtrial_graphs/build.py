"""SeldonDeployments from plain data, and the few changes that an experiment makes to one.

Every function is pure and deterministic: the same input gives the same manifest, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairtrial_graphs.resource import Metadata
from fairtrial_graphs.seldon.rules import check
from fairtrial_graphs.seldon.types import (
    ComponentSpec,
    Container,
    DeploymentSpec,
    EnvVar,
    Logger,
    Node,
    Parameter,
    PodSpec,
    Predictor,
    SeldonDeployment,
)

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


@dataclass(frozen=True)
class Autoscaling:
    """A HorizontalPodAutoscaler on CPU."""

    max_replicas: int
    min_replicas: int = 1
    target_cpu: int = 80  # percent of the requested CPU


@dataclass(frozen=True)
class Arm:
    """One model version. It becomes a predictor, and a graph node, of its name.

    It has either a model and the server for it, or an image that has both.
    """

    name: str
    model_uri: str | None = None
    implementation: str | None = None  # an entry of predictor_servers, e.g. SKLEARN_SERVER
    image: str | None = None
    replicas: int | None = None
    resources: Mapping[str, Any] | None = None  # as in a container: {"requests": ..., "limits": ...}
    autoscaling: Autoscaling | None = None
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    service_account: str | None = None
    env_secret: str | None = None  # Secret with credentials for the model's store
    logger_url: str | None = None  # where Seldon posts each request and response


@dataclass(frozen=True)
class Shadow:
    """An arm that sees copies of the traffic and answers nobody."""

    arm: Arm
    percent: int = 100  # of the requests, mirrored; from 1, as 0 means all of them to Seldon Core


def build(
    name: str,
    arms: Sequence[Arm],
    weights: Mapping[str, int] | None = None,
    *,
    shadow: Shadow | None = None,
    namespace: str | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> SeldonDeployment:
    """A SeldonDeployment (protocol v2) with a predictor for each arm, the first being the baseline.

    `weights` are percentages by arm, 0 where none is given, and sum to 100; without them the first arm
    has all the traffic. Raises ValueError, also for what Seldon Core would refuse.
    """
    if not arms:
        raise ValueError("a deployment needs at least one arm")
    if shadow is not None and not 1 <= shadow.percent <= 100:
        raise ValueError(f"a shadow is sent 1 to 100 percent of the requests, not {shadow.percent}")
    predictors = [_predictor(arm) for arm in arms]
    if shadow is not None:
        predictors.append(
            _predictor(shadow.arm).model_copy(update={"shadow": True, "traffic": shadow.percent})
        )
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = dict(labels)
    if annotations:
        metadata["annotations"] = dict(annotations)
    deployment = SeldonDeployment(
        apiVersion="machinelearning.seldon.io/v1",
        kind="SeldonDeployment",
        metadata=Metadata(**metadata),
        spec=DeploymentSpec(protocol="v2", predictors=predictors),
    )
    deployment = with_weights(deployment, weights or {arms[0].name: 100})
    if refused := [str(finding) for finding in check(deployment) if finding.refused]:
        raise ValueError("\n".join(refused))
    return deployment


def weights(deployment: SeldonDeployment) -> dict[str, int]:
    """Percentage of the traffic by predictor, shadows left out; a single predictor has 100."""
    receiving = deployment.receiving
    if len(receiving) == 1:
        return {receiving[0].name: 100}
    return {predictor.name: predictor.traffic or 0 for predictor in receiving}


def with_weights(deployment: SeldonDeployment, weights: Mapping[str, int]) -> SeldonDeployment:
    """The same deployment with its traffic split so: percentages that sum to 100, 0 where none is given.

    Raises ValueError for a predictor that is not there (or is a shadow), and for a wrong sum.
    """
    receiving = [predictor.name for predictor in deployment.receiving]
    strangers = [name for name in weights if name not in receiving]
    if strangers:
        raise ValueError(f"no predictor called {' or '.join(strangers)}; there are {', '.join(receiving)}")
    if sum(weights.values()) != 100 or any(weight < 0 for weight in weights.values()):
        raise ValueError(f"weights are percentages that sum to 100, not {dict(weights)}")
    return _with_predictors(
        deployment,
        [
            predictor
            if predictor.shadow
            else predictor.model_copy(update={"traffic": weights.get(predictor.name, 0)})
            for predictor in deployment.spec.predictors
        ],
    )


def with_shadow(deployment: SeldonDeployment, predictor: str, percent: int) -> SeldonDeployment:
    """The same deployment with this predictor a shadow: it gets copies, and answers nobody.

    The traffic of the others is theirs as before. Raises ValueError if there is no such predictor.
    """
    return _with(deployment, predictor, {"shadow": True, "traffic": percent})


def answering(deployment: SeldonDeployment, predictor: str) -> SeldonDeployment:
    """The same deployment with this predictor no shadow; it then has no traffic until it is given some.

    Raises ValueError if there is no such predictor.
    """
    if any(each.name == predictor and not each.shadow for each in deployment.spec.predictors):
        return deployment
    return _with(deployment, predictor, {"shadow": False, "traffic": 0})


def without(deployment: SeldonDeployment, predictor: str) -> SeldonDeployment:
    """The same deployment less one predictor; its traffic goes to the others in proportion to theirs.

    Raises ValueError if there is no such predictor, or none that answers callers would be left.
    """
    rest = [other for other in deployment.spec.predictors if other.name != predictor]
    if len(rest) == len(deployment.spec.predictors):
        raise ValueError(f"no predictor called {predictor}")
    smaller = _with_predictors(deployment, rest)
    if not smaller.receiving:
        raise ValueError(f"{predictor} is the only predictor that answers callers; it cannot be removed")
    return with_weights(smaller, _to_100({other.name: other.traffic or 0 for other in smaller.receiving}))


def as_large_as(deployment: SeldonDeployment, predictor: str, other: str) -> SeldonDeployment:
    """The same deployment with at least as many replicas of one predictor as the other has.

    One that an autoscaler scales is left as it is. Raises ValueError if either is not there.
    """
    sizes = {each.name: each for each in deployment.spec.predictors}
    for name in (predictor, other):
        if name not in sizes:
            raise ValueError(f"no predictor called {name}")
    if _is_scaled(sizes[predictor]) or _is_scaled(sizes[other]):
        return deployment
    wanted = sizes[other].replicas or 1
    if (sizes[predictor].replicas or 1) >= wanted:
        return deployment
    return _with(deployment, predictor, {"replicas": wanted})


def _is_scaled(predictor: Predictor) -> bool:
    return any(component.hpaSpec for component in predictor.componentSpecs or ())


def with_local_uris(deployment: SeldonDeployment, folder: Path) -> SeldonDeployment:
    """The same deployment with each `modelUri` that is a plain path made an absolute `file://` one.

    `folder` is where relative paths start: that of the file in which they stand.
    """
    return _with_predictors(
        deployment,
        [
            predictor.model_copy(update={"graph": _with_local_uri(predictor.graph, folder)})
            for predictor in deployment.spec.predictors
        ],
    )


def _predictor(arm: Arm) -> Predictor:
    node: dict[str, Any] = {"name": arm.name, "type": "MODEL"}
    if arm.image is None:
        node |= {"implementation": arm.implementation, "modelUri": arm.model_uri}
    if arm.parameters:
        node["parameters"] = [
            Parameter(name=name, value=value, type="STRING") for name, value in sorted(arm.parameters.items())
        ]
    if arm.logger_url:
        node["logger"] = Logger(mode="all", url=arm.logger_url)
    if arm.service_account:
        node["serviceAccountName"] = arm.service_account
    if arm.env_secret:
        node["envSecretRefName"] = arm.env_secret
    # The executor's metrics carry this annotation as their label predictor_version.
    predictor: dict[str, Any] = {
        "name": arm.name,
        "annotations": {"version": arm.name},
        "graph": Node(**node),
    }
    component = _component(arm)
    if component is not None:
        predictor["componentSpecs"] = [component]
    if arm.replicas is not None:
        predictor["replicas"] = arm.replicas
    return Predictor(**predictor)


def _component(arm: Arm) -> ComponentSpec | None:
    container: dict[str, Any] = {}
    if arm.image is not None:
        container["image"] = arm.image
    if arm.env:
        container["env"] = [EnvVar(name=name, value=value) for name, value in sorted(arm.env.items())]
    if arm.resources:
        container["resources"] = dict(arm.resources)
    component: dict[str, Any] = {}
    if container or arm.autoscaling:
        component["spec"] = PodSpec(containers=[Container(name=arm.name, **container)])
    if arm.autoscaling:
        target = {"type": "Utilization", "averageUtilization": arm.autoscaling.target_cpu}
        component["hpaSpec"] = {
            "minReplicas": arm.autoscaling.min_replicas,
            "maxReplicas": arm.autoscaling.max_replicas,
            "metricsv2": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        }
    return ComponentSpec(**component) if component else None


def _with(deployment: SeldonDeployment, predictor: str, update: Mapping[str, Any]) -> SeldonDeployment:
    if all(each.name != predictor for each in deployment.spec.predictors):
        raise ValueError(f"no predictor called {predictor}")
    return _with_predictors(
        deployment,
        [
            each.model_copy(update=update) if each.name == predictor else each
            for each in deployment.spec.predictors
        ],
    )


def _with_predictors(deployment: SeldonDeployment, predictors: list[Predictor]) -> SeldonDeployment:
    spec = deployment.spec.model_copy(update={"predictors": predictors})
    return deployment.model_copy(update={"spec": spec})


def _with_local_uri(node: Node, folder: Path) -> Node:
    update: dict[str, Any] = {}
    if node.modelUri and not _SCHEME.match(node.modelUri):
        update["modelUri"] = (folder / node.modelUri).resolve().as_uri()
    if node.children:
        update["children"] = [_with_local_uri(child, folder) for child in node.children]
    return node.model_copy(update=update)


def _to_100(shares: Mapping[str, int]) -> dict[str, int]:
    """Whole percentages in proportion to `shares`, by largest remainder; the first gets all if all are 0."""
    total = sum(shares.values())
    if total == 0:
        first = next(iter(shares))
        return {name: 100 if name == first else 0 for name in shares}
    result = {name: share * 100 // total for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: -(shares[name] * 100 % total))
    for name in by_remainder[: 100 - sum(result.values())]:
        result[name] += 1
    return result
