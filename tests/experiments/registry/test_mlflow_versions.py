"""Versions, aliases, tags and reports on a real MLflow server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fairtrial.errors import NotReadyError
from fairtrial.registry.mlflow import MlflowRegistry
from mlflow import MlflowClient

pytestmark = pytest.mark.timeout(300)  # a server of MLflow takes half a minute to start on a busy machine


@pytest.fixture
def registry(mlflow_server: str, request: pytest.FixtureRequest) -> MlflowRegistry:
    """Of a model that is not there yet, and is named after the test."""
    return MlflowRegistry(request.node.name, "champion", mlflow_server)


@pytest.fixture
def client(mlflow_server: str) -> MlflowClient:
    return MlflowClient(mlflow_server, mlflow_server)


@pytest.fixture
def promoted(registry: MlflowRegistry, tmp_path: Path) -> Callable[[str], str]:
    """Makes a version of a run's, which becomes the champion."""
    model = tmp_path / "model.joblib"
    model.write_bytes(b"not loaded by a registry")
    return lambda run: registry.promote(model, run=run, tags={"of": run}).version


def test_a_model_that_is_not_there_yet_has_no_versions_and_no_champion(registry: MlflowRegistry):
    assert registry.versions() == []
    assert registry.holder("champion") is None
    registry.drop("champion")


def test_versions_are_told_newest_first_and_are_what_the_store_fetches(
    registry: MlflowRegistry, client: MlflowClient, request: pytest.FixtureRequest
):
    name = request.node.name
    client.create_registered_model(name)
    for number in range(11):  # "10" sorts before "9" as a text
        client.create_model_version(name, source="s3://models/by-hand", tags={"made": str(number)})
    found = registry.versions()
    assert [version.version for version in found] == [str(n) for n in range(11, 0, -1)]
    assert found[0].uri == f"models:/{name}/11"
    assert found[0].tags == {"made": "10"}
    assert found[0].created > found[-1].created > 1.7e9
    assert registry.version("11") == found[0]


def test_an_alias_moves_and_is_dropped_any_number_of_times(
    registry: MlflowRegistry, promoted: Callable[[str], str]
):
    promoted("run-1")
    promoted("run-2")
    assert registry.move("challenger", "2") is None
    assert registry.move("challenger", "1") == "2"
    assert registry.move("challenger", "1") is None
    holder = registry.holder("challenger")
    assert holder is not None
    assert holder.version == "1"
    registry.drop("challenger")
    registry.drop("challenger")
    assert registry.holder("challenger") is None
    assert registry.holder("champion") == registry.version("2")


def test_tags_are_added_and_replaced(registry: MlflowRegistry, promoted: Callable[[str], str]):
    version = promoted("run-1")
    for verdict in ("CONTINUE", "PROMOTE", "PROMOTE"):
        registry.tag(version, {"fairtrial.verdict": verdict})
    assert registry.version(version).tags == {
        "fairtrial.run": "run-1",
        "fairtrial.verdict": "PROMOTE",
        "of": "run-1",
    }


def test_a_report_is_found_beside_its_version(
    registry: MlflowRegistry, promoted: Callable[[str], str], client: MlflowClient, tmp_path: Path
):
    version = promoted("run-1")
    files = [tmp_path / "verdict.json", tmp_path / "report.html"]
    for text in ("a first attempt", "the last one"):
        for file in files:
            file.write_text(text)
        where = registry.attach(version, files, run="trial-7")
    run = client.get_model_version(registry.version(version).model, version).run_id
    assert where == f"runs:/{run}/fairtrial/trial-7"
    assert run is not None
    assert {each.path for each in client.list_artifacts(run, "fairtrial/trial-7")} == {
        "fairtrial/trial-7/report.html",
        "fairtrial/trial-7/verdict.json",
    }
    got = Path(client.download_artifacts(run, "fairtrial/trial-7/verdict.json", str(tmp_path)))
    assert got.read_text() == "the last one"
    assert client.get_run(run).info.status == "FINISHED"


@pytest.mark.parametrize("of_a_deleted_run", [False, True])
def test_a_report_on_a_version_without_a_run_has_one_of_ours(
    mlflow_server: str, client: MlflowClient, tmp_path: Path, of_a_deleted_run: bool
):
    name = f"registered by hand {of_a_deleted_run}"
    client.create_registered_model(name)
    own = client.create_run("0").info.run_id if of_a_deleted_run else None
    client.create_model_version(
        name, source="s3://models/by-hand" if own is None else f"runs:/{own}/m", run_id=own
    )
    if own:
        client.delete_run(own)
    report = tmp_path / "report.html"
    report.write_text("<html></html>")
    registry = MlflowRegistry(name, "champion", mlflow_server)
    where = registry.attach("1", [report], run="trial-1")
    assert registry.attach("1", [report], run="trial-1") == where
    run = where.removeprefix("runs:/").partition("/")[0]
    assert run != own
    assert [each.path for each in client.list_artifacts(run, "fairtrial/trial-1")] == [
        "fairtrial/trial-1/report.html"
    ]


@pytest.mark.parametrize(
    "ask",
    [
        lambda registry, report: registry.version("9"),
        lambda registry, report: registry.move("champion", "9"),
        lambda registry, report: registry.tag("9", {"a": "b"}),
        lambda registry, report: registry.attach("9", [report], run="trial"),
    ],
    ids=["version", "move", "tag", "attach"],
)
def test_a_version_that_is_not_there_is_said(ask: Callable[[MlflowRegistry, Path], None], mlflow_server: str):
    registry = MlflowRegistry("unversioned", "champion", mlflow_server)
    with pytest.raises(NotReadyError) as told:
        ask(registry, Path("report.html"))
    assert (
        str(told.value) == f"there is no version 9 of unversioned in the MLflow registry at {mlflow_server}"
    )
    assert registry.holder("champion") is None
