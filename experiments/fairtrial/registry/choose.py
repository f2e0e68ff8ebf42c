"""The registry that a file names."""

from __future__ import annotations

from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.registries import (
    MlflowModel,
    ModelRegistry,
    NeptuneModel,
    SageMakerGroup,
    VertexModel,
)
from fairtrial.registry.interface import Registry
from fairtrial.registry.mlflow import MlflowRegistry
from fairtrial.registry.mlflow_uris import registry_uri, tracking_uri
from fairtrial.registry.sagemaker import SageMakerRegistry


def registry_of(experiment: Experiment) -> Registry | None:
    """None where promotion names none."""
    promotion = experiment.spec.promotion
    return None if promotion is None else registry_for(promotion)


def registry_for(section: ModelRegistry) -> Registry:
    """Nothing is asked of it yet. Raises UsageError where its client is needed at once and not installed."""
    match section.chosen:
        case MlflowModel() as named:
            return MlflowRegistry(named.model, named.alias, named.tracking_uri)
        case SageMakerGroup() as named:
            return SageMakerRegistry(
                named.model,
                named.alias,
                region=named.region,
                artifacts=named.artifacts,
                image=named.image,
            )
        case VertexModel() as named:
            return _vertex(named)
        case NeptuneModel() as named:
            return _neptune(named)


def address_of(section: ModelRegistry) -> dict[str, str]:
    """The variables by which the model store finds what a `Version` of this registry names as its uri."""
    named = section.chosen
    if not isinstance(named, MlflowModel) or named.tracking_uri is None:
        return {}
    return {
        "MLFLOW_TRACKING_URI": tracking_uri(named.tracking_uri),
        "MLFLOW_REGISTRY_URI": registry_uri(named.tracking_uri, named.model),
    }


def _vertex(named: VertexModel) -> Registry:
    try:
        from fairtrial.registry.vertex import VertexRegistry
    except ImportError:
        raise UsageError("Vertex AI needs its client: pip install 'fairtrial[vertex]'") from None
    return VertexRegistry(
        named.model,
        named.alias,
        project=named.project,
        location=named.location,
        artifacts=named.artifacts,
        image=named.image,
    )


def _neptune(named: NeptuneModel) -> Registry:
    try:
        from fairtrial.registry.neptune import NeptuneRegistry
    except ImportError:
        raise UsageError("Neptune needs its client: pip install 'fairtrial[neptune]'") from None
    return NeptuneRegistry(named.model, named.alias, project=named.project, address=named.address)
