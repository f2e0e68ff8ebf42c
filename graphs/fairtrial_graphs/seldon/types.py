"""SeldonDeployment (`machinelearning.seldon.io/v1`, Seldon Core 1.x) as typed data.

Only what Fairtrial reads or writes is typed; every other field of the CRD is carried along untouched, so
that a manifest that somebody wrote by hand is written back with nothing lost. Types are strict, as those
of the Kubernetes API are: `traffic: "50"` is a mistake, not 50.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from fairtrial_graphs.resource import Metadata, Part, Resource

GROUP = "machinelearning.seldon.io"

ApiVersion = Literal[
    "machinelearning.seldon.io/v1", "machinelearning.seldon.io/v1alpha3", "machinelearning.seldon.io/v1alpha2"
]
Protocol = Literal["seldon", "tensorflow", "kfserving", "v2"]


class EnvVar(Part):
    name: str
    value: str | None = None
    valueFrom: dict[str, Any] | None = None


class Container(Part):
    name: str
    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[EnvVar] | None = None
    envFrom: list[dict[str, Any]] | None = None
    resources: dict[str, Any] | None = None


class PodSpec(Part):
    containers: list[Container] | None = None


class ComponentSpec(Part):
    """What a predictor's pod is made of; a container belongs to the graph node of the same name."""

    metadata: Metadata | None = None
    spec: PodSpec | None = None
    hpaSpec: dict[str, Any] | None = None
    replicas: int | None = None


class Parameter(Part):
    name: str
    value: str
    type: str


class Logger(Part):
    url: str | None = None
    mode: str | None = None


class Node(Part):
    """A node of the inference graph; Seldon calls it a predictive unit."""

    name: str
    implementation: str | None = None
    modelUri: str | None = None
    type: str | None = None
    methods: list[str] | None = None
    endpoint: dict[str, Any] | None = None
    parameters: list[Parameter] | None = None
    logger: Logger | None = None
    serviceAccountName: str | None = None
    envSecretRefName: str | None = None
    children: list[Node] | None = None

    def walk(self, path: str) -> Iterator[tuple[str, Node]]:
        """This node and all below it, each with its path in the manifest."""
        yield path, self
        for index, child in enumerate(self.children or ()):
            yield from child.walk(f"{path}.children.{index}")


class SvcOrchSpec(Part):
    """The executor's own container."""

    env: list[EnvVar] | None = None
    replicas: int | None = None


class Predictor(Part):
    name: str
    graph: Node
    componentSpecs: list[ComponentSpec] | None = None
    replicas: int | None = None
    traffic: int | None = None
    shadow: bool | None = None
    annotations: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    explainer: dict[str, Any] | None = None
    svcOrchSpec: SvcOrchSpec | None = None

    def container(self, node: str) -> Container | None:
        """The container that `componentSpecs` give to the node of this name."""
        for component in self.componentSpecs or ():
            for container in (component.spec and component.spec.containers) or ():
                if container.name == node:
                    return container
        return None


class DeploymentSpec(Part):
    name: str | None = None
    annotations: dict[str, str] | None = None
    protocol: Protocol | None = None
    transport: Literal["rest", "grpc"] | None = None
    serverType: Literal["rpc", "kafka"] | None = None
    replicas: int | None = None
    predictors: list[Predictor]


class SeldonDeployment(Resource):
    apiVersion: ApiVersion = "machinelearning.seldon.io/v1"
    kind: Literal["SeldonDeployment"] = "SeldonDeployment"
    metadata: Metadata
    spec: DeploymentSpec
    status: dict[str, Any] | None = None

    @property
    def receiving(self) -> tuple[Predictor, ...]:
        """The predictors that answer callers: all but shadows."""
        return tuple(predictor for predictor in self.spec.predictors if not predictor.shadow)
