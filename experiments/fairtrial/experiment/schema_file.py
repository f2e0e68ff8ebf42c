"""The checked-in JSON Schema, read without importing the model: `fairtrial schema` answers at once."""

from __future__ import annotations

from importlib import resources

SCHEMA_NAME = "experiment.schema.json"


def schema_file_text() -> str:
    """The JSON Schema of an experiment file."""
    return resources.files("fairtrial.experiment").joinpath(SCHEMA_NAME).read_text(encoding="utf-8")
