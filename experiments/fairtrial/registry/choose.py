"""The registry that a file names."""

from __future__ import annotations

from fairtrial.experiment.model import Experiment
from fairtrial.experiment.registries import ModelRegistry
from fairtrial.registry.interface import Registry
from fairtrial.registry.mlflow import MlflowRegistry


def registry_of(experiment: Experiment) -> Registry | None:
    """None where promotion names none."""
    promotion = experiment.spec.promotion
    return None if promotion is None else registry_for(promotion)


def registry_for(section: ModelRegistry) -> Registry:
    """Nothing is asked of it yet. Raises NotReadyError where its client is not installed."""
    chosen = section.chosen
    return MlflowRegistry(chosen.model, chosen.alias, chosen.tracking_uri)
