"""The registry that an experiment names."""

from __future__ import annotations

from fairtrial.experiment.model import Experiment
from fairtrial.registry.interface import Registry
from fairtrial.registry.mlflow import MlflowRegistry


def registry_of(experiment: Experiment) -> Registry | None:
    """None where promotion names none."""
    promotion = experiment.spec.promotion
    if promotion is None:
        return None
    mlflow = promotion.mlflow
    return MlflowRegistry(mlflow.model, mlflow.alias, mlflow.tracking_uri)
