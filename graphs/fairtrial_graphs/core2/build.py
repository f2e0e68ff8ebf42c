"""A SeldonDeployment as Core 2 resources: what each predictor runs, and an Experiment for the split.

Every function is pure and deterministic. What Core 2 has no word for is refused, or told in a note.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fairtrial_graphs.backends.interface import Route, Unsupported
from fairtrial_graphs.core2.types import (
    AnyResource,
    Candidate,
    Experiment,
    ExperimentSpec,
    Mirror,
    Model,
    ModelSpec,
    Output,
    Parameter,
    PayloadLogger,
    Pipeline,
    PipelineSpec,
    Step,
)
from fairtrial_graphs.resource import Metadata
from fairtrial_graphs.seldon.rules import EXECUTOR_IMPLEMENTATIONS, LONGEST_NAME, check
from fairtrial_graphs.seldon.types import Container, Node, Predictor, SeldonDeployment

_REQUIREMENTS = {
    "SKLEARN_SERVER": "sklearn",
    "XGBOOST_SERVER": "xgboost",
    "MLFLOW_SERVER": "mlflow",
    "HUGGINGFACE_SERVER": "huggingface",
    "TENSORFLOW_SERVER": "tensorflow",
    "TRITON_SERVER": "triton",
}


@dataclass(frozen=True)
class Core2:
    """What Core 2 is to be given."""

    resources: tuple[AnyResource, ...]  # models, pipelines, then the experiment
    notes: tuple[str, ...]  # sentences: what is said of the deployment and does not hold here


def core2_of(deployment: SeldonDeployment, route: Route) -> Core2:
    """The same arms and split for Core 2.

    A predictor of one model becomes a Model, any other graph a Pipeline of Models. Arms are called
    `<deployment>-<predictor>`, because models share the names of a namespace. Where there are several arms,
    or a shadow, an Experiment of the deployment's name splits what is sent to the first arm.

    Raises Unsupported, naming every field that has no counterpart.
    """
    problems = [str(finding) for finding in check(deployment) if finding.refused]
    if not deployment.metadata.name:
        problems.append("metadata.name: Core 2's resources are named after the deployment; name it")
    if deployment.spec.protocol not in ("v2", "kfserving"):
        problems.append("spec.protocol: Core 2 speaks v2 only; say so, if that is what callers send")
    if deployment.spec.serverType == "kafka":
        problems.append("spec.serverType: Core 2's pipelines run on Kafka of their own; remove it")
    for index, predictor in enumerate(deployment.spec.predictors):
        problems += _unsupported(deployment, f"spec.predictors.{index}", predictor)
    if problems:
        raise Unsupported("\n".join(problems))
    # An Experiment is of models or of pipelines, never of both.
    as_pipelines = any(predictor.graph.children for predictor in deployment.spec.predictors)
    resources: list[AnyResource] = []
    for predictor in deployment.spec.predictors:
        resources += _models(deployment, predictor, as_pipelines)
    if as_pipelines:
        resources += [_pipeline(deployment, predictor) for predictor in deployment.spec.predictors]
    if len(deployment.spec.predictors) > 1:
        resources.append(_experiment(deployment, as_pipelines))
    return Core2(tuple(resources), tuple(_notes(deployment, route)))


def arm_name(deployment: SeldonDeployment, predictor: Predictor) -> str:
    """What a predictor is called in Core 2."""
    return f"{deployment.metadata.name}-{predictor.name}"


def _model_name(deployment: SeldonDeployment, predictor: Predictor, node: Node, as_pipelines: bool) -> str:
    arm = arm_name(deployment, predictor)
    return f"{arm}-{node.name}" if as_pipelines else arm


def _models(deployment: SeldonDeployment, predictor: Predictor, as_pipelines: bool) -> Iterator[Model]:
    for _, node in predictor.graph.walk(""):
        name = _model_name(deployment, predictor, node, as_pipelines)
        yield Model(
            apiVersion="mlops.seldon.io/v1alpha1",
            kind="Model",
            metadata=_metadata(deployment, name),
            spec=_model_spec(deployment, predictor, node),
        )


def _model_spec(deployment: SeldonDeployment, predictor: Predictor, node: Node) -> ModelSpec:
    implementation = node.implementation or ""
    requirement = _REQUIREMENTS.get(implementation, implementation.lower().replace("_", "-"))
    spec: dict[str, Any] = {"storageUri": node.modelUri or "", "requirements": [requirement]}
    memory = _memory(predictor.container(node.name))
    if memory is not None:
        spec["memory"] = memory
    replicas = predictor.replicas if predictor.replicas is not None else deployment.spec.replicas
    if replicas is not None:
        spec["replicas"] = replicas
    for component in predictor.componentSpecs or ():
        if component.hpaSpec and "maxReplicas" in component.hpaSpec:
            spec["minReplicas"] = component.hpaSpec.get("minReplicas", 1)
            spec["maxReplicas"] = component.hpaSpec["maxReplicas"]
    if node.envSecretRefName:
        spec["secretName"] = node.envSecretRefName
    if node.parameters:
        spec["parameters"] = [Parameter(name=p.name, value=p.value) for p in node.parameters]
    if node.logger is not None:
        spec["logger"] = PayloadLogger(percent=100)
    return ModelSpec(**spec)


def _memory(container: Container | None) -> Any:
    resources = (container and container.resources) or {}
    return (resources.get("requests") or {}).get("memory") or (resources.get("limits") or {}).get("memory")


def _pipeline(deployment: SeldonDeployment, predictor: Predictor) -> Pipeline:
    steps: list[Step] = []

    def named(node: Node) -> str:
        return _model_name(deployment, predictor, node, as_pipelines=True)

    def add(node: Node, source: str | None) -> str:
        """Add the steps of a graph that is fed by `source`, and say which of them has its answer."""
        if node.type in ("COMBINER", "OUTPUT_TRANSFORMER"):
            ends = [add(child, source) for child in node.children or ()] or ([source] if source else [])
            step: dict[str, Any] = {"name": named(node), **({"inputs": ends} if ends else {})}
            if len(ends) > 1:
                step["inputsJoinType"] = "inner"
            steps.append(Step(**step))
            return named(node)
        steps.append(Step(name=named(node), inputs=[source]) if source else Step(name=named(node)))
        for child in node.children or ():  # one at most, as checked
            return add(child, named(node))
        return named(node)

    end = add(predictor.graph, None)
    return Pipeline(
        apiVersion="mlops.seldon.io/v1alpha1",
        kind="Pipeline",
        metadata=_metadata(deployment, arm_name(deployment, predictor)),
        spec=PipelineSpec(steps=steps, output=Output(steps=[end])),
    )


def _experiment(deployment: SeldonDeployment, of_pipelines: bool) -> Experiment:
    receiving = deployment.receiving
    alone = len(receiving) == 1
    spec: dict[str, Any] = {
        "default": arm_name(deployment, receiving[0]),
        "candidates": [
            Candidate(name=arm_name(deployment, predictor), weight=100 if alone else predictor.traffic or 0)
            for predictor in receiving
        ],
    }
    for predictor in deployment.spec.predictors:
        if predictor.shadow:
            # Seldon Core 1 mirrors everything where a shadow's traffic is unset.
            spec["mirror"] = Mirror(name=arm_name(deployment, predictor), percent=predictor.traffic or 100)
    if of_pipelines:
        spec["resourceType"] = "pipeline"
    return Experiment(
        apiVersion="mlops.seldon.io/v1alpha1",
        kind="Experiment",
        metadata=_metadata(deployment, deployment.metadata.name or ""),
        spec=ExperimentSpec(**spec),
    )


def _metadata(deployment: SeldonDeployment, name: str) -> Metadata:
    metadata: dict[str, Any] = {"name": name}
    if deployment.metadata.namespace:
        metadata["namespace"] = deployment.metadata.namespace
    if deployment.metadata.labels:
        metadata["labels"] = dict(deployment.metadata.labels)
    return Metadata(**metadata)


def _unsupported(deployment: SeldonDeployment, path: str, predictor: Predictor) -> Iterator[str]:
    for place, node in predictor.graph.walk(f"{path}.graph"):
        kind = node.type or "MODEL"
        name = _model_name(deployment, predictor, node, bool(predictor.graph.children))
        if len(name) > LONGEST_NAME:
            yield f'{place}.name: "{name}" would be a model of over {LONGEST_NAME} characters; shorten it'
        if kind == "ROUTER" or node.implementation in ("RANDOM_ABTEST", "SIMPLE_ROUTER"):
            yield (
                f"{place}.type: Core 2 has no routers that answer with a branch; split by predictors, "
                "or write a Pipeline whose steps are triggered by the router's tensors"
            )
        elif node.implementation in EXECUTOR_IMPLEMENTATIONS:
            yield f"{place}.implementation: {node.implementation} is part of Seldon Core 1's executor only"
        elif not node.implementation or not node.modelUri:
            yield (
                f"{place}.implementation: Core 2 runs models on shared servers, not containers of "
                f'"{node.name}"\'s own; name an implementation and a modelUri'
            )
        if kind != "COMBINER" and len(node.children or ()) > 1:
            yield f"{place}.children: only a combiner has several children, and this is a {kind}"


def _notes(deployment: SeldonDeployment, route: Route) -> Iterator[str]:
    if route.sticky is not None and len(deployment.receiving) > 1:
        yield (
            "Core 2 does not keep callers on their arm by what they send: a caller is kept there if it "
            "returns the x-seldon-route header of its first answer"
        )
    for index, predictor in enumerate(deployment.spec.predictors):
        path = f"spec.predictors.{index}"
        if predictor.explainer is not None:
            yield f"{path}.explainer: left out; in Core 2 it is a Model with spec.explainer"
        for _, node in predictor.graph.walk(""):
            container = predictor.container(node.name)
            if container is not None and (container.env or container.image or container.args):
                yield f"{path}.componentSpecs: {node.name} runs on a shared server, without this container"
            if (node.implementation or "") not in _REQUIREMENTS and node.implementation:
                yield (
                    f"{path}.graph: {node.name} needs a Server with the capability "
                    f"{node.implementation.lower().replace('_', '-')}"
                )
