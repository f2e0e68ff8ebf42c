"""Model, Experiment and Pipeline (`mlops.seldon.io/v1alpha1`, Seldon Core 2) as typed data.

As with SeldonDeployments, fields that are not typed here are carried along untouched.
"""

from __future__ import annotations

from typing import Any, Literal

from fairtrial_graphs.resource import Metadata, Part, Resource

GROUP = "mlops.seldon.io"

ApiVersion = Literal["mlops.seldon.io/v1alpha1"]
Join = Literal["inner", "outer", "any"]


class Parameter(Part):
    name: str
    value: str


class PayloadLogger(Part):
    percent: int | None = None


class Explainer(Part):
    type: str | None = None
    modelRef: str | None = None
    pipelineRef: str | None = None


class ModelSpec(Part):
    storageUri: str
    requirements: list[str] | None = None  # what a Server must be capable of, to be given this model
    memory: int | str | None = None
    replicas: int | None = None
    minReplicas: int | None = None
    maxReplicas: int | None = None
    secretName: str | None = None
    server: str | None = None
    parameters: list[Parameter] | None = None
    logger: PayloadLogger | None = None
    explainer: Explainer | None = None


class Model(Resource):
    apiVersion: ApiVersion = "mlops.seldon.io/v1alpha1"
    kind: Literal["Model"] = "Model"
    metadata: Metadata
    spec: ModelSpec
    status: dict[str, Any] | None = None


class Candidate(Part):
    name: str
    weight: int  # relative to the others


class Mirror(Part):
    name: str
    percent: int


class ExperimentSpec(Part):
    default: str | None = None  # requests to this model or pipeline are split
    candidates: list[Candidate]
    mirror: Mirror | None = None
    resourceType: str | None = None


class Experiment(Resource):
    apiVersion: ApiVersion = "mlops.seldon.io/v1alpha1"
    kind: Literal["Experiment"] = "Experiment"
    metadata: Metadata
    spec: ExperimentSpec
    status: dict[str, Any] | None = None


class Step(Part):
    name: str  # of a Model
    inputs: list[str] | None = None
    inputsJoinType: Join | None = None
    triggers: list[str] | None = None
    triggersJoinType: Join | None = None
    tensorMap: dict[str, str] | None = None


class Output(Part):
    steps: list[str] | None = None
    stepsJoin: Join | None = None
    tensorMap: dict[str, str] | None = None


class PipelineSpec(Part):
    input: dict[str, Any] | None = None
    steps: list[Step]
    output: Output | None = None
    allowCycles: bool | None = None


class Pipeline(Resource):
    apiVersion: ApiVersion = "mlops.seldon.io/v1alpha1"
    kind: Literal["Pipeline"] = "Pipeline"
    metadata: Metadata
    spec: PipelineSpec
    status: dict[str, Any] | None = None


AnyResource = Model | Experiment | Pipeline
KINDS: dict[str, type[Model] | type[Experiment] | type[Pipeline]] = {
    "Model": Model,
    "Experiment": Experiment,
    "Pipeline": Pipeline,
}
