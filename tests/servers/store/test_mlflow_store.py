"""Models of an MLflow registry and of its runs, on a real MLflow server."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from fairtrial_servers.errors import ModelError
from fairtrial_servers.store import fetch
from fairtrial_servers.store.interface import UnreachableError
from mlflow import MlflowClient
from servers.store.programs import answers, free_port, running


@pytest.fixture(scope="module")
def mlflow_url(tmp_path_factory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    argv += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"]
    argv += ["--artifacts-destination", str(folder / "artifacts")]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true",
             "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # fmt: skip
    with running(argv, answers(port), folder, quiet):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(autouse=True)
def _environment(mlflow_url, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_url)
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)


@pytest.fixture(scope="module")
def client(mlflow_url) -> MlflowClient:
    return MlflowClient(mlflow_url, mlflow_url)


def log(client: MlflowClient, tmp_path, content: bytes) -> str:
    """A run that has ended, with a model; its id."""
    folder = tmp_path / f"logged-{content.decode()}"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "data" / "model.onnx").write_bytes(content)
    run = client.create_run("0").info.run_id
    client.log_artifacts(run, str(folder), "model")
    client.set_terminated(run)
    return run


def register(client: MlflowClient, tmp_path, name: str, content: bytes) -> str:
    run = log(client, tmp_path, content)
    if not client.search_registered_models(f"name='{name}'"):
        client.create_registered_model(name)
    source = f"{client.get_run(run).info.artifact_uri}/model"
    return str(client.create_model_version(name, source, run).version)


def test_an_alias_is_looked_up_each_time_and_fetched_when_it_moved(client, tmp_path):
    first = register(client, tmp_path, "wine", b"one")
    client.set_registered_model_alias("wine", "champion", first)
    told = []
    folder = fetch("models:/wine@champion", tmp_path, lambda done, total: told.append((done, total)))
    assert (folder / "data" / "model.onnx").read_bytes() == b"one"
    assert told[-1] == (14, 14)
    told.clear()
    assert fetch("models:/wine@champion", tmp_path, lambda *of: told.append(of)) == folder
    assert told == []
    client.set_registered_model_alias("wine", "champion", register(client, tmp_path, "wine", b"two"))
    assert (fetch("models:/wine@champion", tmp_path) / "data" / "model.onnx").read_bytes() == b"two"
    assert (fetch("models:/wine/latest", tmp_path) / "data" / "model.onnx").read_bytes() == b"two"


def test_a_version_never_changes_and_needs_no_server(client, tmp_path, monkeypatch, mlflow_url):
    version = register(client, tmp_path, "fixed", b"one")
    folder = fetch(f"models:/fixed/{version}", tmp_path)
    client.delete_model_version("fixed", version)
    assert fetch(f"models:/fixed/{version}", tmp_path) == folder


def test_a_run_and_a_file_of_it(client, tmp_path):
    run = log(client, tmp_path, b"one")
    assert (fetch(f"runs:/{run}/model", tmp_path) / "MLmodel").is_file()
    file = fetch(f"runs:/{run}/model/data/model.onnx", tmp_path)
    assert (file.name, file.read_bytes()) == ("model.onnx", b"one")


def test_a_run_that_goes_on_may_log_more(client, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a").write_bytes(b"a")
    run = client.create_run("0").info.run_id
    client.log_artifacts(run, str(folder), "model")
    assert [each.name for each in fetch(f"runs:/{run}/model", tmp_path).iterdir()] == ["a"]
    (folder / "b").write_bytes(b"b")
    client.log_artifacts(run, str(folder), "model")
    assert sorted(each.name for each in fetch(f"runs:/{run}/model", tmp_path).iterdir()) == ["a", "b"]


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("models:/absent@champion", "no model at models:/absent@champion: .*absent.* not found"),
        ("models:/absent/1", "no model at models:/absent/1"),
        ("models:/absent/latest", "has no versions"),
        ("models:/wine/Production", "an alias is written models:/wine@Production"),
        ("models:/wine", "expected models:/name@alias or models:/name/version"),
        ("runs:/0123456789abcdef0123456789abcdef/model", "no model at runs:/0123"),
    ],
)
def test_what_is_not_there_is_said_so(tmp_path, uri, words):
    with pytest.raises(ModelError, match=words):
        fetch(uri, tmp_path)


def test_a_path_that_the_run_does_not_have_is_said_so(client, tmp_path):
    run = log(client, tmp_path, b"one")
    with pytest.raises(ModelError, match=f"no model at runs:/{run}/absent"):
        fetch(f"runs:/{run}/absent", tmp_path)


def test_a_server_that_is_down_is_said_so_without_its_password(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ann:s3cret-word@127.0.0.1:{free_port()}")
    with pytest.raises(UnreachableError, match="models:/wine@champion cannot be fetched") as refused:
        fetch("models:/wine@champion", tmp_path)
    assert "s3cret-word" not in str(refused.value)
