"""Which registry a file names, and what is told of one that names none, or two."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from experiments.experiment.test_messages import changed
from fairtrial.errors import UsageError
from fairtrial.experiment.reading import parse
from fairtrial.experiment.registries import ModelRegistry
from fairtrial.registry.choose import address_of, registry_for, registry_of
from fairtrial.registry.mlflow import MlflowRegistry
from fairtrial.registry.sagemaker import SageMakerRegistry


@pytest.mark.parametrize(
    ("section", "kind", "place"),
    [
        ({"mlflow": {"model": "wine"}}, MlflowRegistry, "MLflow at MLFLOW_TRACKING_URI"),
        (
            {"mlflow": {"model": "main.wines.wine", "trackingUri": "databricks://work"}},
            MlflowRegistry,
            "MLflow at databricks://work",
        ),
        ({"sageMaker": {"model": "wine"}}, SageMakerRegistry, "SageMaker"),
        (
            {"sageMaker": {"model": "wine", "region": "us-gov-west-1"}},
            SageMakerRegistry,
            "SageMaker in us-gov-west-1",
        ),
    ],
)
def test_a_section_names_one_registry(section: dict[str, Any], kind: type, place: str):
    read = ModelRegistry.model_validate(section)
    assert isinstance(registry_for(read), kind)
    assert read.chosen.place == place
    assert read.chosen.alias == "champion"


@pytest.mark.parametrize(
    ("promotion", "told"),
    [
        ("{}", "16:14 spec.promotion: say which registry: one of mlflow, sageMaker, vertex and neptune"),
        (
            "{mlflow: {model: wine}, sageMaker: {model: wine}}",
            "16:49 spec.promotion.sageMaker: mlflow is said already; choose one of the two",
        ),
        (
            "{sageMaker: {model: wine}}",
            "16:15 spec.promotion.sageMaker.artifacts: required: say where the files of a candidate that is "
            "promoted are put",
        ),
        (
            "{vertex: {model: wine, project: wines-42, location: europe-west4, artifacts: gs://a/b}}",
            "16:91 spec.promotion.vertex.artifacts: Vertex AI takes no version without an image: say image "
            "too",
        ),
        (
            "{mlflo: {model: wine}}",
            '16:15 spec.promotion.mlflo: unknown field, did you mean "mlflow"?',
        ),
        (
            "{mlflow: {model: wine, alias: latest}}",
            "16:44 spec.promotion.mlflow.alias: expected a name that can move, such as champion; latest says "
            "a version",
        ),
        (
            "{sageMaker: {model: wine, alias: v7}}",
            "16:47 spec.promotion.sageMaker.alias: expected a name that can move, such as champion; v7 says "
            "a version",
        ),
        (
            "{mlflow: {model: wine, trackingUri: 'https://me:hunter2@mlflow'}}",
            "16:50 spec.promotion.mlflow.trackingUri: expected an address without a password or token, which "
            "would be copied into run folders: MLFLOW_TRACKING_USERNAME and its like are taken from the "
            "environment, see docs/registries.md",
        ),
        (
            "{sageMaker: {model: wine_2}}",
            "16:34 spec.promotion.sageMaker.model: expected at most 63 letters, digits, and dashes between "
            'them, got the text "wine_2"',
        ),
        (
            "{sageMaker: {model: wine, artifacts: models/wine}}",
            "16:51 spec.promotion.sageMaker.artifacts: expected an address such as s3://bucket/models, got "
            'the text "models/wine"',
        ),
        (
            "{sageMaker: {model: wine, region: Frankfurt}}",
            "16:48 spec.promotion.sageMaker.region: expected a region such as eu-central-1, got the text "
            '"Frankfurt"',
        ),
    ],
)
def test_a_mistake_is_one_located_sentence(promotion: str, told: str):
    assert told in changed("  analysis", f"  promotion: {promotion}\n  analysis")


def test_an_experiment_without_a_promotion_has_no_registry():
    from experiments.experiment.test_messages import LINES

    experiment = parse(LINES.encode(), source="e.yaml", folder=Path(), check_files=False)
    assert registry_of(experiment) is None


@pytest.mark.parametrize(
    ("section", "variables"),
    [
        ({"sageMaker": {"model": "wine"}}, {}),
        ({"mlflow": {"model": "wine"}}, {}),
        (
            {"mlflow": {"model": "main.wines.wine", "trackingUri": "databricks-uc://work"}},
            {"MLFLOW_TRACKING_URI": "databricks://work", "MLFLOW_REGISTRY_URI": "databricks-uc://work"},
        ),
    ],
)
def test_the_store_is_told_where_the_registry_is(section: dict[str, Any], variables: dict[str, str]):
    assert address_of(ModelRegistry.model_validate(section)) == variables


def test_a_client_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "fairtrial.registry.vertex", None)
    section = {"vertex": {"model": "wine", "project": "wines-42", "location": "europe-west4"}}
    with pytest.raises(UsageError, match=r"Vertex AI needs its client: pip install 'fairtrial\[vertex\]'"):
        registry_for(ModelRegistry.model_validate(section))
    monkeypatch.setitem(sys.modules, "fairtrial.registry.neptune", None)
    section = {"neptune": {"model": "WIN-WINE", "project": "ada/wines"}}
    with pytest.raises(UsageError, match=r"Neptune needs its client: pip install 'fairtrial\[neptune\]'"):
        registry_for(ModelRegistry.model_validate(section))
    monkeypatch.setitem(sys.modules, "boto3.exceptions", None)
    with pytest.raises(UsageError, match=r"SageMaker needs its client: pip install 'fairtrial\[sagemaker\]'"):
        registry_for(ModelRegistry.model_validate({"sageMaker": {"model": "wine"}})).check()
