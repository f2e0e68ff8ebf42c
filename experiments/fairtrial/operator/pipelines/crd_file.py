"""The checked-in CustomResourceDefinition of pipelines, read without the model."""

from __future__ import annotations

from importlib import resources

CRD_NAME = "pipelines.fairtrial.dev.yaml"


def pipeline_crd_file_text() -> str:
    return resources.files("fairtrial.operator.pipelines").joinpath(CRD_NAME).read_text(encoding="utf-8")
