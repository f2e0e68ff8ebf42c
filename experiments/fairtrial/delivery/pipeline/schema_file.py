"""The checked-in JSON Schema of pipeline files, read without the model."""

from __future__ import annotations

from importlib import resources

SCHEMA_NAME = "pipeline.schema.json"


def pipeline_schema_file_text() -> str:
    return resources.files("fairtrial.delivery.pipeline").joinpath(SCHEMA_NAME).read_text(encoding="utf-8")
