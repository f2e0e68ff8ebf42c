"""Runs tracked on a real MLflow server."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fairtrial.experiment.model import Experiment
from fairtrial.followers.interface import AwayError, RefusedError
from fairtrial.journal.entries import Effect, Entry, Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.tracking.figures import figures_of, parameters_of
from fairtrial.tracking.mlflow import MlflowTracker
from mlflow import MlflowClient
from mlflow.entities import Run

pytestmark = pytest.mark.timeout(300)  # a server of MLflow takes half a minute to start on a busy machine

EXPERIMENT = Experiment.model_validate(
    {
        "apiVersion": "fairtrial.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "wine"},
        "spec": {
            "baseline": {"name": "v1", "modelUri": "models/v1"},
            "candidates": [{"name": "v2", "modelUri": "models/v2"}],
            "traffic": {"loadTest": {"maxDuration": "90s"}},
            "metrics": [{"name": "accuracy", "minEffect": "1pp"}],
            "notifications": [{"webhook": "http://127.0.0.1:9/hunter2"}],
            "tracking": {"mlflow": {"trackingUri": "http://me:hunter2@mlflow"}},
        },
    }
)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / f"wine-{time.time_ns()}")
    run.path.mkdir()
    run.experiment.write_text("spec: {}\n")
    return run


def verdict(look: int, effect: float | None) -> dict[str, Any]:
    metric = {
        "name": "accuracy",
        "interval": None if effect is None else [effect - 0.1, effect + 0.1],
        "estimate": {"baseline": 0.5, "candidate": 0.5 + (effect or 0), "effect": effect},
        "n": {"baseline": 10 * look, "candidate": 11 * look},
        "statistic": None,
        "boundary": 2.5,
    }
    return {
        "verdict": "PROMOTE",
        "baseline": "v1",
        "candidate": "v2",
        "look": look,
        "reasons": ["v2 is better"],
        "metrics": [metric],
    }


def entries(*, end: Kind = Kind.ENDED, **of_end: Any) -> list[Entry]:
    found: list[tuple[Kind, Effect | None, dict[str, Any]]] = [(Kind.STARTED, None, {})]
    found += [(Kind.LOOK, None, {"look": look, "verdict": verdict(look, look / 100)}) for look in (1, 2, 3)]
    found += [
        (Kind.VERDICT, None, verdict(3, 0.03)),
        (Kind.DONE, Effect.PROMOTE, {"outcome": "all traffic goes to v2"}),
        (end, None, of_end),
    ]
    return [Entry(seq, 1795870000.0 + seq, *each) for seq, each in enumerate(found, 1)]


def track(folder: RunFolder, url: str, given: Sequence[Entry], place: str = "trials") -> None:
    tracker = MlflowTracker(place, url, EXPERIMENT, folder)
    tracker.take([entry for entry in given if tracker.wants(entry)])


def tracked(folder: RunFolder, url: str, place: str = "trials") -> tuple[MlflowClient, Run]:
    client = MlflowClient(url)
    experiment = client.get_experiment_by_name(place)
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], f"tags.`fairtrial.trial` = '{folder.id}'")
    assert len(found) == 1
    return client, found[0]


def test_a_run_has_its_parameters_looks_verdict_and_files(
    folder: RunFolder, mlflow_server: str, capfd: pytest.CaptureFixture[str]
):
    folder.verdict.write_text("{}")
    folder.report.write_text("<html></html>")
    track(folder, mlflow_server, entries())
    assert capfd.readouterr().out == ""  # where --output json prints its one document
    client, run = tracked(folder, mlflow_server)
    assert run.info.run_name == folder.id
    assert run.info.status == "FINISHED"
    assert run.data.params["spec.traffic.loadTest.maxDuration"] == "1m30s"
    assert run.data.params["spec.candidates.0.name"] == "v2"
    assert run.data.params["spec.analysis.power"] == "80%"  # a default
    assert run.data.tags["fairtrial.verdict"] == "PROMOTE"
    assert run.data.tags["fairtrial.outcome"] == "all traffic goes to v2"
    history = client.get_metric_history(run.info.run_id, "v2/accuracy/effect")
    assert [(each.step, each.value) for each in history] == [(1, 0.01), (2, 0.02), (3, 0.03)]
    assert run.data.metrics["v2/accuracy/n_candidate"] == 33
    files = {each.path for each in client.list_artifacts(run.info.run_id)}
    assert files == {"experiment.yaml", "verdict.json", "report.html"}


def test_no_secret_goes_there(folder: RunFolder, mlflow_server: str):
    track(folder, mlflow_server, entries())
    _, run = tracked(folder, mlflow_server)
    assert run.data.params["spec.tracking.mlflow.trackingUri"] == "http://***@mlflow"
    assert "hunter2" not in str(run.to_dictionary())


def test_a_resumed_run_goes_on_with_the_same_one_and_doubles_nothing(folder: RunFolder, mlflow_server: str):
    whole = entries()
    track(folder, mlflow_server, whole[:3])
    track(folder, mlflow_server, whole[2:])  # the third was not known to be there
    client, run = tracked(folder, mlflow_server)
    history = client.get_metric_history(run.info.run_id, "v2/accuracy/effect")
    assert [each.step for each in history] == [1, 2, 3]
    assert run.info.status == "FINISHED"


@pytest.mark.parametrize(
    ("end", "of_end", "status"),
    [(Kind.FAILED, {"message": "no model"}, "FAILED"), (Kind.ENDED, {"aborted": True}, "KILLED")],
)
def test_how_it_ended_is_told(
    folder: RunFolder, mlflow_server: str, end: Kind, of_end: dict[str, Any], status: str
):
    track(folder, mlflow_server, entries(end=end, **of_end))
    assert tracked(folder, mlflow_server)[1].info.status == status
    track(folder, mlflow_server, [Entry(9, 1795870100.0, Kind.RESUMED, None, {})])
    assert tracked(folder, mlflow_server)[1].info.status == "RUNNING"


def test_what_the_server_refuses_is_not_tried_again(folder: RunFolder, mlflow_server: str):
    client = MlflowClient(mlflow_server)
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(RefusedError, match="the MLflow server at http://127"):
        track(folder, mlflow_server, entries(), place="gone")


def test_a_server_that_does_not_answer_is_said_at_once(folder: RunFolder):
    begun = time.monotonic()
    with pytest.raises(AwayError) as told:
        track(folder, "http://me:hunter2@127.0.0.1:9", entries())
    assert str(told.value) == "the MLflow server at 127.0.0.1:9 does not answer (ConnectError)"
    assert time.monotonic() - begun < 10


def test_what_is_not_known_yet_is_left_out():
    figures = figures_of(verdict(1, None))
    assert "v2/accuracy/effect" not in figures
    assert figures["v2/accuracy/boundary"] == 2.5
    assert all(
        path.startswith(("apiVersion", "kind", "metadata", "spec")) for path in parameters_of(EXPERIMENT)
    )
