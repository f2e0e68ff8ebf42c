"""The checked-in JSON Schema and CRD, read without the model, so that `fairtrial schema` answers at once."""

from __future__ import annotations

from importlib import resources

SCHEMA_NAME = "experiment.schema.json"
CRD_NAME = "experiments.fairtrial.dev.yaml"


def schema_file_text() -> str:
    """The JSON Schema of an experiment file."""
    return _text(SCHEMA_NAME)


def crd_file_text() -> str:
    """The CustomResourceDefinition of experiments, as YAML."""
    return _text(CRD_NAME)


def _text(name: str) -> str:
    return resources.files("fairtrial.experiment").joinpath(name).read_text(encoding="utf-8")
