"""Models that live elsewhere: `fairtrial plan`, `run`, `resume`'s digests and `serve`, on moto's S3."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import httpx
import pytest
from e2e.test_serving import serving
from experiments.runs import fairtrial, journal_of, only_run
from fairtrial.projects.training import train
from fairtrial.projects.writing import write_project
from servers.store.programs import answers, free_port, running

_EXPERIMENT = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
metadata: {name: elsewhere}
spec:
  baseline: {name: v1, modelUri: s3://models/wine/v1/}
  candidates: [{name: v2, modelUri: s3://models/wine/v2.joblib}]
  traffic: {loadTest: {arrivalRate: 150/s, maxDuration: 20s}}
  metrics: [{name: accuracy, minEffect: 8pp}]
  analysis: {lookInterval: 500ms}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Iterator[Path]:
    """An experiment whose models are in a bucket, and nowhere else."""
    folder = tmp_path_factory.mktemp("elsewhere") / "project"
    write_project("better", folder)
    train(folder, lambda _line: None)
    (folder / "experiment.yaml").write_text(_EXPERIMENT)
    port = free_port()
    logs = tmp_path_factory.mktemp("moto")
    with (
        running(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], answers(port), logs
        ),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "id")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("FAIRTRIAL_CACHE", str(folder.parent / "cache"))
        bucket = boto3.resource("s3").Bucket("models")
        bucket.create()
        for version, key in (("v1", "wine/v1/model.joblib"), ("v2", "wine/v2.joblib")):
            (file,) = (folder / "models" / version).glob("*.joblib")
            bucket.upload_file(str(file), key)
        shutil.rmtree(folder / "models")
        yield folder


def test_a_plan_fetches_what_it_must_know_and_tells_it(project):
    done = fairtrial("plan", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "FAIRTRIAL_SKLEARN_SERVER s3://models/wine/v1/" in done.stdout
    assert "fetching s3://models/wine/v2.joblib" in done.stderr
    again = fairtrial("plan", cwd=project)
    assert "fetching" not in again.stderr  # it is in the cache


def test_a_run_serves_from_the_cache_and_records_which_files_it_served(project):
    done = fairtrial("run", cwd=project)
    assert done.returncode == 0, done.stderr
    run = only_run(project)
    verdict = json.loads((run / "verdict.json").read_text())
    digests = {arm["name"]: arm["digest"] for arm in verdict["arms"]}
    content = boto3.resource("s3").Object("models", "wine/v2.joblib").get()["Body"].read()
    assert digests["v2"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert digests["v1"].startswith("sha256:")
    started = journal_of(run)[0].body["models"]
    assert [(model["arm"], model["digest"]) for model in started] == list(digests.items())
    assert "s3://models/wine/v1/" in (run / "seldondeployment.yaml").read_text()


def test_a_run_is_replayed_without_its_models(project, tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRTRIAL_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    done = fairtrial("replay", only_run(project), cwd=project)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "empty").exists()


def test_a_model_is_served_by_its_address(project):
    with serving("s3://models/wine/v2.joblib", cwd=project) as where:
        assert where["model"] == "v2"
        assert httpx.get(f"{where['url']}/v2/models/v2/ready", timeout=10).status_code == 200


def test_a_store_that_is_down_is_an_exit_code_and_a_sentence(project, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    done = fairtrial("serve", "s3://models/wine/v2.joblib", cwd=project)
    assert done.returncode == 3, done.stderr
    assert "cannot be fetched" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_of_nothing_is_an_exit_code_and_a_sentence(project):
    done = fairtrial("serve", "s3://models/absent", cwd=project)
    assert done.returncode == 2, done.stderr
    assert "there is no model at s3://models/absent" in done.stderr
