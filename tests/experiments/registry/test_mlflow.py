"""Promotions made known to a real MLflow server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from experiments.runs import assert_no_orphans, fairtrial, journal_of, only_run
from fairtrial.errors import NotReadyError
from fairtrial.journal.entries import Effect, Kind
from fairtrial.registry.mlflow import MlflowRegistry
from mlflow import MlflowClient

pytestmark = pytest.mark.timeout(300)  # a server of MLflow takes half a minute to start on a busy machine

_FILE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
metadata: {name: quick}
spec:
  baseline: {name: v1, modelUri: models/v1}
  candidates: [{name: v2, modelUri: models/v2}]
  traffic:
    loadTest: {arrivalRate: 150/s, maxDuration: 20s}
  metrics:
    - {name: accuracy, minEffect: 8pp}
  analysis: {lookInterval: 500ms}
  promotion: {mlflow: {model: NAME, alias: champion, trackingUri: "URL"}}
"""
_KILLED = Path(__file__).parents[1] / "controller" / "killed.py"


@pytest.fixture
def project(trained: Path, tmp_path: Path, mlflow_server: str, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(trained, folder)
    text = _FILE.replace("NAME", request.node.name).replace("URL", mlflow_server)
    (folder / "experiment.yaml").write_text(text)
    return folder


def registered(entries: list) -> list[dict]:
    return [e.body for e in entries if e.kind is Kind.DONE and e.effect is Effect.REGISTER]


def test_a_promoted_candidate_becomes_the_champion(
    project: Path, mlflow_server: str, request: pytest.FixtureRequest, tmp_path: Path
):
    name = request.node.name
    done = fairtrial("run", cwd=project)
    assert done.returncode == 0, done.stderr
    client = MlflowClient(mlflow_server, mlflow_server)
    champion = client.get_model_version_by_alias(name, "champion")
    run = only_run(project)
    assert champion.tags["fairtrial.run"] == run.name
    assert champion.tags["fairtrial.verdict"] == "PROMOTE"
    client.download_artifacts(champion.run_id, "model", str(tmp_path))
    stored = next((tmp_path / "model").rglob("model.joblib"))
    assert stored.read_bytes() == (project / "models/v2/model.joblib").read_bytes()
    (body,) = registered(journal_of(run))
    assert body["outcome"] == f"{name} 1 is champion"
    assert f"{name} 1 is champion" in (run / "report.html").read_text()


def test_a_run_killed_before_it_knew_registers_no_second_version(
    project: Path, mlflow_server: str, request: pytest.FixtureRequest
):
    # killed once the version is made and the alias moved, and before the journal says so
    code = subprocess.run(
        [sys.executable, str(_KILLED), "register", "unjournalled", "run", "experiment.yaml"],
        cwd=project,
        capture_output=True,
        timeout=110,
        check=False,
    ).returncode
    assert code < 0
    run = only_run(project)
    assert_no_orphans(run)
    resumed = fairtrial("resume", run, cwd=project)
    assert resumed.returncode == 0, resumed.stderr
    client = MlflowClient(mlflow_server, mlflow_server)
    versions = client.search_model_versions(f"name='{request.node.name}'")
    assert [version.version for version in versions] in (["1"], [1])
    assert len(registered(journal_of(run))) == 1


def test_the_alias_moves_on_and_says_where_it_was(tmp_path: Path, mlflow_server: str):
    model = tmp_path / "model.joblib"
    model.write_bytes(b"not loaded by a registry")
    registry = MlflowRegistry("moving", "champion", mlflow_server)
    registry.check()
    first = registry.promote(model, run="run-1", tags={})
    again = registry.promote(model, run="run-1", tags={})
    second = registry.promote(model, run="run-2", tags={})
    assert (first.version, first.before, first.sentence) == ("1", None, "moving 1 is champion")
    assert again.version == "1"
    assert second.sentence == "moving 2 is champion, which was 1"


def test_a_registry_that_does_not_answer_is_told_before_anything_is_deployed(project: Path):
    file = project / "experiment.yaml"
    text = file.read_text()
    url = text[text.index("http://") : text.index('"}}')]
    file.write_text(text.replace(url, "http://127.0.0.1:9"))
    done = subprocess.run(
        [sys.executable, "-m", "fairtrial", "run"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={**os.environ, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"},
    )
    assert done.returncode == 3, done.stderr
    assert "the MLflow registry at http://127.0.0.1:9 cannot be asked" in done.stderr
    assert "Traceback" not in done.stderr
    effects = [entry.effect for entry in journal_of(only_run(project))]
    assert Effect.DEPLOY not in effects


def test_bad_uris_are_told_in_words():
    with pytest.raises(NotReadyError, match="cannot be asked"):
        MlflowRegistry("m", "champion", "nonsense://x").check()
