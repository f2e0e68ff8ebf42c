"""What the local backend makes of a SeldonDeployment: pure, and loud about what it cannot run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fairtrial_graphs.backends.interface import Unsupported
from fairtrial_graphs.build import weights
from fairtrial_graphs.seldon.rules import EXECUTOR_IMPLEMENTATIONS, check
from fairtrial_graphs.seldon.types import Container, Predictor, SeldonDeployment


@dataclass(frozen=True)
class ModelSpec:
    """One predictor's model server. Two that are equal need no restart to become one another."""

    predictor: str
    node: str
    implementation: str
    model_uri: str
    parameters: Mapping[str, str]
    env: Mapping[str, str]


@dataclass(frozen=True)
class Mirror:
    predictor: str
    percent: int


@dataclass(frozen=True)
class LocalPlan:
    models: tuple[ModelSpec, ...]  # in the manifest's order
    weights: Mapping[str, int]  # by predictor, shadows left out; sums to 100
    mirror: Mirror | None
    ignored: tuple[str, ...]  # sentences: what the manifest says and this machine does not do


def read_plan(deployment: SeldonDeployment) -> LocalPlan:
    """Raises Unsupported, naming every field that cannot be run here or that Seldon Core would refuse."""
    problems = [str(finding) for finding in check(deployment) if finding.refused]
    problems += _unsupported(deployment)
    if problems:
        raise Unsupported("\n".join(problems))
    mirror = next(
        # Seldon Core mirrors everything when a shadow's traffic is unset or 0.
        (
            Mirror(predictor.name, predictor.traffic or 100)
            for predictor in deployment.spec.predictors
            if predictor.shadow
        ),
        None,
    )
    return LocalPlan(
        models=tuple(_model(predictor) for predictor in deployment.spec.predictors),
        weights=weights(deployment),
        mirror=mirror,
        ignored=tuple(_ignored(deployment)),
    )


def _model(predictor: Predictor) -> ModelSpec:
    node = predictor.graph
    container = predictor.container(node.name)
    return ModelSpec(
        predictor=predictor.name,
        node=node.name,
        implementation=node.implementation or "",
        model_uri=node.modelUri or "",
        parameters={parameter.name: parameter.value for parameter in node.parameters or ()},
        env={variable.name: variable.value or "" for variable in (container and container.env) or ()},
    )


def _unsupported(deployment: SeldonDeployment) -> Iterator[str]:
    spec = deployment.spec
    if spec.protocol not in ("v2", "kfserving"):
        told = f'"{spec.protocol}"' if spec.protocol else "nothing, which means seldon"
        yield f'spec.protocol: the local backend speaks "v2" only, and this says {told}'
    if spec.transport == "grpc":
        yield 'spec.transport: the local backend splits REST traffic; remove "grpc"'
    if spec.serverType == "kafka":
        yield 'spec.serverType: the local backend does not read from Kafka; remove "kafka"'
    for index, predictor in enumerate(spec.predictors):
        yield from _unsupported_predictor(f"spec.predictors.{index}", predictor)


def _unsupported_predictor(path: str, predictor: Predictor) -> Iterator[str]:
    node = predictor.graph
    if node.children:
        names = ", ".join(child.name for child in node.children)
        yield f"{path}.graph.children: the local backend runs one model a predictor, not a graph ({names})"
    if node.type not in (None, "MODEL"):
        yield f"{path}.graph.type: the local backend runs models only, not {node.type}"
    if node.implementation in EXECUTOR_IMPLEMENTATIONS:
        yield f"{path}.graph.implementation: {node.implementation} is not run by the local backend"
    container = predictor.container(node.name)
    if node.implementation in (None, "", "UNKNOWN_IMPLEMENTATION"):
        if container is not None:
            yield (
                f"{path}.graph.implementation: the local backend cannot run a container image; "
                "name an implementation"
            )
    elif container is not None:
        yield from _unsupported_container(path, container)


def _unsupported_container(path: str, container: Container) -> Iterator[str]:
    where = f"{path}.componentSpecs (container {container.name})"
    if container.command or container.args:
        yield f"{where}: the local backend starts its own server; remove command and args"
    if container.envFrom:
        yield f"{where}.envFrom: there are no ConfigMaps and Secrets on this machine"
    for variable in container.env or ():
        if variable.valueFrom is not None:
            yield f"{where}.env: {variable.name} has a valueFrom, which this machine cannot look up"


def _ignored(deployment: SeldonDeployment) -> Iterator[str]:
    for index, predictor in enumerate(deployment.spec.predictors):
        path = f"spec.predictors.{index}"
        container = predictor.container(predictor.graph.name)
        if (predictor.replicas or deployment.spec.replicas or 1) > 1:
            yield f"{path}.replicas: one process serves {predictor.name} on this machine"
        if container is not None and container.image:
            yield f"{path}.componentSpecs: {predictor.name} runs here without its image {container.image}"
        if predictor.graph.logger is not None:
            yield f"{path}.graph.logger: requests to {predictor.name} are not logged on this machine"
        if predictor.explainer is not None:
            yield f"{path}.explainer: the explainer of {predictor.name} does not run on this machine"
