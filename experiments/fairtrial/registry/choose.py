"""The registry that a file names."""

from __future__ import annotations

from fairtrial.experiment.model import Experiment
from fairtrial.experiment.registries import MlflowModel, ModelRegistry, SageMakerGroup
from fairtrial.registry.interface import Registry
from fairtrial.registry.mlflow import MlflowRegistry
from fairtrial.registry.mlflow_uris import registry_uri, tracking_uri
from fairtrial.registry.sagemaker import SageMakerRegistry


def registry_of(experiment: Experiment) -> Registry | None:
    """None where promotion names none."""
    promotion = experiment.spec.promotion
    return None if promotion is None else registry_for(promotion)


def registry_for(section: ModelRegistry) -> Registry:
    """Nothing is asked of it yet, nor is its client imported."""
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


def address_of(section: ModelRegistry) -> dict[str, str]:
    """The variables by which the model store finds what a `Version` of this registry names as its uri."""
    named = section.chosen
    if not isinstance(named, MlflowModel) or named.tracking_uri is None:
        return {}
    return {
        "MLFLOW_TRACKING_URI": tracking_uri(named.tracking_uri),
        "MLFLOW_REGISTRY_URI": registry_uri(named.tracking_uri, named.model),
    }
