"""A model at a real MLflow server, its versions, a real registry of images, and a pipeline's state."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from experiments.clocks import StoppedClock
from experiments.registry.conftest import mlflow_server  # noqa: F401
from fairtrial.delivery.state import State
from fairtrial.registry.mlflow import MlflowRegistry
from mlflow import MlflowClient
from servers.image.conftest import (
    registry,  # noqa: F401
    run_registry,  # noqa: F401
    small_base,  # noqa: F401
)

# Decided by a few hundred rows within seconds.
EXPERIMENT = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
metadata: {name: wine}
spec:
  baseline: {name: baseline, modelUri: "models:/MODEL@champion"}
  candidates: [{name: candidate, modelUri: "models:/MODEL@challenger"}]
  strategy:
    canary: {steps: [{setWeight: 10, minRequests: 20}, {setWeight: 50}]}
  traffic:
    loadTest: {arrivalRate: 150/s, maxDuration: 20s}
  metrics:
    - {name: accuracy, minEffect: 8pp}
  analysis: {lookInterval: 500ms}
"""

#: For tests that use MLflow's own store here: what it asks of SQLAlchemy is old.
OLD_SQL = pytest.mark.filterwarnings("ignore:The ``noload`` loader:sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State(tmp_path / "wine")
    yield state
    state.close()


@dataclass
class Models:
    """A registered model of an MLflow server."""

    client: MlflowClient
    name: str
    url: str
    trained: Path

    def add(self, model: str) -> str:
        """Register what was trained as `v1` (worse) or `v2` (better); the version."""
        experiment = self.client.get_experiment_by_name("training")
        place = experiment.experiment_id if experiment else self.client.create_experiment("training")
        run = self.client.create_run(place)
        self.client.log_artifacts(run.info.run_id, str(self.trained / "models" / model), "model")
        self.client.set_terminated(run.info.run_id)
        source = f"{run.info.artifact_uri}/model"
        made = self.client.create_model_version(self.name, source=source, run_id=run.info.run_id)
        return str(made.version)

    def give(self, alias: str, version: str) -> None:
        self.client.set_registered_model_alias(self.name, alias, version)

    def holder(self, alias: str) -> str | None:
        found = self.client.get_registered_model(self.name).aliases.get(alias)
        return str(found) if found is not None else None

    def tags(self, version: str) -> dict[str, str]:
        return dict(self.client.get_model_version(self.name, version).tags)

    def reports(self, version: str) -> list[str]:
        """Names of the files that deliveries have put beside a version."""
        run = self.client.get_model_version(self.name, version).run_id
        folders = self.client.list_artifacts(run, "fairtrial")
        return sorted(
            Path(file.path).name
            for folder in folders
            for file in self.client.list_artifacts(run, folder.path)
        )


@pytest.fixture
def models(mlflow_server: str, trained: Path, request: pytest.FixtureRequest) -> Models:  # noqa: F811
    client = MlflowClient(mlflow_server, mlflow_server)
    name = request.node.name
    client.create_registered_model(name)
    return Models(client, name, mlflow_server, trained)


@pytest.fixture
def project(models: Models, tmp_path: Path) -> Path:
    """A folder with the experiment that versions are put to, and its data."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(models.trained / "holdout.parquet", folder)
    (folder / "experiment.yaml").write_text(EXPERIMENT.replace("MODEL", models.name))
    return folder


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database as its migrations leave it, which take seconds."""
    path = tmp_path_factory.mktemp("mlflow-database") / "mlflow.db"
    uri = f"sqlite:///{path}"
    MlflowClient(uri, uri).search_registered_models(max_results=1)
    return path


@pytest.fixture
def wine(empty_mlflow: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    """A registered model without versions in MLflow's own store, which needs no server."""
    uri = f"sqlite:///{shutil.copy(empty_mlflow, tmp_path / 'mlflow.db')}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("FAIRTRIAL_CACHE", str(tmp_path / "cache"))
    # Whatever a test before has left in this process; and this one leaves nothing.
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", uri)
    monkeypatch.setattr("mlflow.tracking._model_registry.utils._registry_uri", uri)
    client = MlflowClient(uri, uri)
    client.create_experiment("training", str(tmp_path / "artifacts"))
    client.create_experiment("fairtrial", str(tmp_path / "artifacts"))
    client.create_registered_model("wine")
    return Models(client, "wine", uri, trained)


@pytest.fixture
def registry_of_wine(wine: Models) -> MlflowRegistry:
    """With three versions, whose files nobody looks at."""
    for _ in range(3):
        wine.client.create_model_version("wine", source="s3://models/wine")
    return MlflowRegistry("wine", "champion", wine.url)
