"""MLflow's own servers, Databricks and Azure ML, by address: which client is made, and what is said.

Neither Databricks nor Azure ML can be reached from a test: the clients are MLflow's own, and ask nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fairtrial.errors import NotReadyError
from fairtrial.mlflow_client import mlflow_client
from fairtrial.registry.mlflow import MlflowRegistry
from fairtrial.registry.mlflow_uris import registry_uri, tracking_uri
from mlflow.entities.model_registry import (
    ModelVersion,
    ModelVersionTag,
    RegisteredModel,
    RegisteredModelAlias,
)
from mlflow.entities.model_registry.model_version_search import ModelVersionSearch
from mlflow.store._unity_catalog.registry.rest_store import UcModelRegistryStore
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.databricks_workspace_model_registry_rest_store import (
    DatabricksWorkspaceModelRegistryRestStore,
)
from mlflow.store.model_registry.rest_store import RestStore

UC = "main.wines.wine"
AZURE = (
    "azureml://westeurope.api.azureml.ms/mlflow/v1.0/subscriptions/0/resourceGroups/r/providers/"
    "Microsoft.MachineLearningServices/workspaces/w"
)


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials of the machine's."""
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))


@pytest.fixture
def databricks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials, of nobody."""
    monkeypatch.setenv("DATABRICKS_HOST", "https://databricks.invalid")
    monkeypatch.setenv("DATABRICKS_TOKEN", "hunter2")


@pytest.mark.parametrize(
    ("uri", "model", "tracking", "registry"),
    [
        ("http://mlflow:5000", "wine", "http://mlflow:5000", "http://mlflow:5000"),
        ("http://mlflow:5000", UC, "http://mlflow:5000", "http://mlflow:5000"),
        ("databricks", "wine", "databricks", "databricks"),
        ("databricks", UC, "databricks", "databricks-uc"),
        ("databricks://work", "wine", "databricks://work", "databricks://work"),
        ("databricks://work", UC, "databricks://work", "databricks-uc://work"),
        ("databricks-uc", UC, "databricks", "databricks-uc"),
        ("databricks-uc://work", UC, "databricks://work", "databricks-uc://work"),
        (AZURE, "wine", AZURE, AZURE),
    ],
)
def test_an_address_says_where_runs_are_and_where_models_are(
    uri: str, model: str, tracking: str, registry: str
):
    assert (tracking_uri(uri), registry_uri(uri, model)) == (tracking, registry)


@pytest.mark.parametrize(
    ("uri", "model", "store"),
    [
        ("http://mlflow:5000", UC, RestStore),
        ("databricks", "wine", DatabricksWorkspaceModelRegistryRestStore),
        ("databricks", UC, UcModelRegistryStore),
        ("databricks-uc", UC, UcModelRegistryStore),
    ],
)
@pytest.mark.usefixtures("databricks")
def test_the_client_is_the_one_that_mlflow_has_for_it(uri: str, model: str, store: type):
    client = mlflow_client(tracking_uri(uri), registry_uri(uri, model))
    assert type(client._get_registry_client().store) is store


@pytest.mark.parametrize("uri", ["databricks", "databricks://work", "databricks-uc"])
def test_databricks_without_credentials_is_told_in_a_sentence(uri: str):
    with pytest.raises(NotReadyError) as told:
        MlflowRegistry(UC, "champion", uri).check()
    assert f"the MLflow registry at {uri} cannot be asked for {UC}: Reading Databricks credential" in str(
        told.value
    )
    assert "DATABRICKS_HOST and DATABRICKS_TOKEN" in str(told.value)
    assert str(told.value).count(". ") == 0


@pytest.mark.parametrize("where", ["file", "environment"])
def test_azure_ml_without_its_plugin_is_told_in_a_sentence(where: str, monkeypatch: pytest.MonkeyPatch):
    if where == "environment":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", AZURE)
    with pytest.raises(NotReadyError) as told:
        MlflowRegistry("wine", "champion", AZURE if where == "file" else None).check()
    assert str(told.value).endswith("its plugin for MLflow is not installed: pip install azureml-mlflow")


def test_a_password_in_the_environments_address_is_not_repeated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(NotReadyError) as told:
        MlflowRegistry("wine", "champion", "http://me:hunter2@127.0.0.1:9").check()
    assert "hunter2" not in str(told.value)
    assert "the MLflow registry at http://127.0.0.1:9 cannot be asked" in str(told.value)


class _UnityCatalog:
    """Answers as its store does: versions found have no tags, and no filter but the name is known."""

    def __init__(self) -> None:
        self.made = [
            ModelVersion(UC, str(n), n * 1000, tags=[ModelVersionTag("fairtrial.run", f"run-{n}")])
            for n in (1, 2)
        ]
        self.aliases = {"champion": "1"}

    def get_registered_model(self, name: str) -> RegisteredModel:
        return RegisteredModel(name, aliases=[RegisteredModelAlias(*each) for each in self.aliases.items()])

    def search_model_versions(
        self, filter_string: str, max_results: int, order_by: Any, page_token: Any
    ) -> Any:
        assert (filter_string, order_by) == (f"name='{UC}'", None)
        found = [ModelVersionSearch(UC, each.version, each.creation_timestamp) for each in self.made]
        return PagedList(found[:1], "more") if page_token is None else PagedList(found[1:], None)

    def get_model_version(self, name: str, version: str) -> ModelVersion:
        return self.made[int(version) - 1]

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        self.aliases[alias] = version


@pytest.mark.usefixtures("databricks")
def test_unity_catalog_is_asked_only_what_it_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    registry = MlflowRegistry(UC, "champion", "databricks")
    answers = _UnityCatalog()
    for name in (
        "get_registered_model",
        "search_model_versions",
        "get_model_version",
        "set_registered_model_alias",
    ):
        asked: Callable[..., Any] = getattr(answers, name)
        monkeypatch.setattr(registry._client._get_registry_client().store, name, asked)
    assert [(each.version, each.tags["fairtrial.run"]) for each in registry.versions()] == [
        ("2", "run-2"),
        ("1", "run-1"),
    ]
    assert registry.versions()[0].uri == f"models:/{UC}/2"
    again = registry.promote(tmp_path / "not needed", run="run-2", tags={})
    assert (again.version, again.before) == ("2", "1")
    assert answers.aliases == {"champion": "2"}
