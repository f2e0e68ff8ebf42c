"""Webhooks, Airflow and Kubeflow by HTTP.

The answers are those of Airflow 3.3.2 (recorded; test_airflow_itself.py has the real one) and of the models
of kfp-server-api 2.17.3 (written down from them: no Kubeflow was asked).
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from experiments.delivery.hooks.choosing import hook
from experiments.delivery.hooks.events import EVENT, NAME, TOLD, never
from experiments.delivery.hooks.services import Asked, serving
from fairtrial.delivery.hooks.naming import idempotency_key, name_of
from fairtrial.errors import NotReadyError, UsageError


def test_a_name_is_fit_for_files_and_runs_and_no_two_keys_share_one():
    assert name_of(EVENT) == NAME
    keys = ["a:b", "a/b", "a b", "ä" * 300, "x" * 300, "x" * 301, "../../etc", ""]
    names = [name_of(dataclasses.replace(EVENT, key=key)) for key in keys]
    assert len(set(names)) == len(keys)
    assert all(len(name) <= 110 and "/" not in name and name.isascii() for name in names)
    headers = [idempotency_key(dataclasses.replace(EVENT, key=key)) for key in keys]
    assert len(set(headers)) == len(keys)
    assert all(len(each) <= 255 and each.isascii() and " " not in each for each in headers)


def test_a_webhook_gets_the_event_and_the_same_key_each_time(tmp_path: Path):
    with serving(lambda asked: (202, {})) as service:
        train = hook(tmp_path, webhook={"url": f"{service.url}/train"})
        assert train.start(EVENT, never) == "the webhook at 127.0.0.1 was told"
        train.start(EVENT, never)
    assert [(each.method, each.path, each.body) for each in service.asked] == [("POST", "/train", TOLD)] * 2
    assert {each.headers["idempotency-key"] for each in service.asked} == {EVENT.key}


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, NotReadyError), (503, NotReadyError), (429, NotReadyError), (408, NotReadyError),
     (400, UsageError), (401, UsageError), (404, UsageError), (302, UsageError)],
)  # fmt: skip
def test_what_may_pass_is_told_from_what_will_not_and_no_url(
    tmp_path: Path, status: int, error: type[Exception], monkeypatch: pytest.MonkeyPatch
):
    with serving(lambda asked: (status, {})) as service:
        monkeypatch.setenv("TRAIN", f"{service.url}/s3cret")
        train = hook(tmp_path, webhook={"urlFrom": {"env": "TRAIN"}})
        with pytest.raises(error, match=f"the webhook at 127.0.0.1 .*answered {status}") as raised:
            train.start(EVENT, never)
    assert "s3cret" not in str(raised.value)
    assert len(service.asked) == 1, "no redirect is followed"


def test_a_webhook_that_works_on_it_already_has_begun_it(tmp_path: Path):
    with serving(lambda asked: (409, {})) as service:
        train = hook(tmp_path, webhook={"url": service.url})
        assert train.start(EVENT, never) == "the webhook at 127.0.0.1 knows of it already"


def test_nobody_there_may_pass(tmp_path: Path):
    with serving(lambda asked: (200, {})) as gone:
        pass
    with pytest.raises(
        NotReadyError, match=r"the webhook at 127\.0\.0\.1 cannot be reached \(ConnectError\)"
    ):
        hook(tmp_path, webhook={"url": gone.url}).start(EVENT, never)


def test_a_secret_that_is_not_there_is_said_at_the_start_and_read_anew_at_each_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    said: dict[str, Any] = {"url": "http://127.0.0.1:9", "dag": "d", "token": {"env": "AIRFLOW_TOKEN"}}
    monkeypatch.delenv("AIRFLOW_TOKEN", raising=False)
    with pytest.raises(
        UsageError, match=r"spec\.retrain\.airflow\.token: the environment's AIRFLOW_TOKEN is"
    ):
        hook(tmp_path, airflow=said)
    with serving(lambda asked: (401, {"detail": "Not authenticated"})) as service:
        token = tmp_path / "token"
        token.write_text("first\n")
        train = hook(tmp_path, airflow=said | {"url": service.url, "token": {"file": "token"}})
        for turn in ("first", "second"):
            token.write_text(f"{turn}\n")
            with pytest.raises(UsageError, match="answered 401; see the token") as raised:
                train.start(EVENT, never)
            assert service.asked[-1].headers["authorization"] == f"Bearer {turn}"
            assert turn not in str(raised.value)
        token.write_text("tökén\n")
        with pytest.raises(UsageError, match="characters that no token can have"):
            train.start(EVENT, never)


class Airflow3:
    """What Airflow 3.3.2 answered."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def __call__(self, asked: Asked) -> tuple[int, Any]:
        if asked.path == "/api/v2/version":
            return 200, {"version": "3.3.2", "git_version": None}
        if asked.path != "/api/v2/dags/train_wine/dagRuns":
            return 404, {"detail": "Dag with dag_id: 'nope' not found"}
        run: str = asked.body["dag_run_id"]
        if run in self.runs:
            return 409, {"detail": {"reason": "Unique constraint violation"}}
        self.runs.append(run)
        return 200, {"dag_run_id": run, "dag_id": "train_wine", "logical_date": None, "state": "queued"}


class Airflow2:
    """The first version of the REST API; the second is not there, as no path is that it does not know."""

    def __call__(self, asked: Asked) -> tuple[int, Any]:
        if not asked.path.startswith("/api/v1/dags/train_wine"):
            return 404, b"<html>"
        return 200, {"dag_run_id": asked.body["dag_run_id"], "dag_id": "train_wine", "state": "queued"}


def test_a_run_of_a_dag_is_begun_once_for_an_event(tmp_path: Path):
    airflow = Airflow3()
    with serving(airflow) as service:
        train = hook(tmp_path, airflow={"url": service.url, "dag": "train_wine"})
        assert train.start(EVENT, never) == f"run {NAME} of the DAG train_wine"
        assert train.start(EVENT, never) == f"run {NAME} of the DAG train_wine had been begun"
    assert airflow.runs == [NAME]
    assert service.asked[0].body == {
        "dag_run_id": NAME, "logical_date": None, "conf": {"fairtrial": TOLD},
    }  # fmt: skip
    assert "authorization" not in service.asked[0].headers


def test_an_older_airflow_is_asked_in_its_own_way(tmp_path: Path):
    with serving(Airflow2()) as service:
        train = hook(tmp_path, airflow={"url": f"{service.url}/", "dag": "train_wine"})
        assert train.start(EVENT, never) == f"run {NAME} of the DAG train_wine"
    assert "logical_date" not in service.asked[-1].body


def test_what_is_no_dag_or_no_airflow_is_told(tmp_path: Path):
    with serving(Airflow3()) as service:
        train = hook(tmp_path, airflow={"url": service.url, "dag": "nope"})
        with pytest.raises(
            UsageError, match=r"asked to start the DAG nope, and answered 404; see spec\.retr"
        ):
            train.start(EVENT, never)
    for content in ({"hello": 1}, b"<html>", []):
        with (
            serving(lambda asked, content=content: (200, content)) as service,
            pytest.raises(UsageError, match=r"Airflow at 127\.0\.0\.1 .*; see spec\.retrain"),
        ):
            hook(tmp_path, airflow={"url": service.url, "dag": "d"}).start(EVENT, never)


class Kubeflow:
    """As the models of kfp-server-api have it; an empty list is left out, as protobuf's JSON does."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.versions: list[dict[str, Any]] = [{"pipeline_id": "p-1", "pipeline_version_id": "v-9"}]
        self.lose_answer = False

    def __call__(self, asked: Asked) -> tuple[int, Any]:
        match asked.method, asked.path.removeprefix("/apis/v2beta1"):
            case "GET", "/runs":
                return 200, self._list("runs", self._filtered(asked, self.runs))
            case "GET", "/pipelines/names/train%20wine":
                return 200, {"pipeline_id": "p-1", "display_name": "train wine"}
            case "GET", "/pipelines/p-1/versions":
                assert asked.params == {"page_size": "1", "sort_by": "created_at desc"}
                return 200, self._list("pipeline_versions", self.versions)
            case "GET", "/experiments":
                known = [{"experiment_id": "e-1", "display_name": "wine"}]
                return 200, self._list("experiments", self._filtered(asked, known))
            case "POST", "/runs":
                self.runs.append(asked.body | {"run_id": f"r-{len(self.runs) + 1}"})
                return (502, {}) if self.lose_answer else (200, self.runs[-1])
            case _:
                return 404, {"code": 5, "message": "not found", "details": []}

    @staticmethod
    def _filtered(asked: Asked, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
        (predicate,) = json.loads(asked.params["filter"])["predicates"]
        assert (predicate["key"], predicate["operation"]) == ("display_name", "EQUALS")
        return [each for each in known if each["display_name"] == predicate["string_value"]]

    @staticmethod
    def _list(name: str, found: list[dict[str, Any]]) -> dict[str, Any]:
        return {name: found, "total_size": len(found)} if found else {}


@pytest.fixture
def kubeflow() -> Kubeflow:
    return Kubeflow()


def test_a_run_of_a_pipeline_s_newest_version_is_begun_once_for_an_event(tmp_path: Path, kubeflow: Kubeflow):
    with serving(kubeflow) as service:
        train = hook(tmp_path, kubeflow={"url": service.url, "pipeline": "train wine", "experiment": "wine"})
        assert train.start(EVENT, never) == f"run {NAME} of the pipeline train wine (r-1)"
        assert train.start(EVENT, never) == f"run {NAME} of the pipeline train wine had been begun"
    assert kubeflow.runs == [
        {
            "run_id": "r-1",
            "display_name": NAME,
            "description": f"fairtrial: alert, {EVENT.key}",
            "experiment_id": "e-1",
            "pipeline_version_reference": {"pipeline_id": "p-1", "pipeline_version_id": "v-9"},
        }
    ]


def test_a_run_whose_answer_was_lost_is_found_when_it_is_tried_again(tmp_path: Path, kubeflow: Kubeflow):
    with serving(kubeflow) as service:
        train = hook(tmp_path, kubeflow={"url": service.url, "pipeline": "train wine"})
        kubeflow.lose_answer = True
        with pytest.raises(NotReadyError, match=r"Kubeflow Pipelines at 127\.0\.0\.1 answered 502"):
            train.start(EVENT, never)
        assert "had been begun" in train.start(EVENT, never)
    assert len(kubeflow.runs) == 1


@pytest.mark.parametrize(
    "content", [{"hello": 1}, {"runs": "none"}, {"pipeline_versions": ["v"]}, [], b"<html>"]
)
def test_what_is_no_kubeflow_is_told(tmp_path: Path, content: object):
    with (
        serving(lambda asked: (200, content)) as service,
        pytest.raises(UsageError, match=r"Kubeflow Pipelines at 127\.0\.0\.1.*see spec\.retrain"),
    ):
        hook(tmp_path, kubeflow={"url": service.url, "pipeline": "p"}).start(EVENT, never)


def test_a_pipeline_or_an_experiment_that_is_not_there_is_told(tmp_path: Path, kubeflow: Kubeflow):
    with serving(kubeflow) as service:
        wrong = hook(tmp_path, kubeflow={"url": service.url, "pipeline": "nope"})
        with pytest.raises(
            UsageError, match=r"for /pipelines/names/nope, and answered 404; see spec\.retrain"
        ):
            wrong.start(EVENT, never)
        lost = hook(tmp_path, kubeflow={"url": service.url, "pipeline": "train wine", "experiment": "x"})
        with pytest.raises(UsageError, match="there is no experiment x; see"):
            lost.start(EVENT, never)
        kubeflow.versions.clear()
        with pytest.raises(UsageError, match="the pipeline train wine has no version; see"):
            hook(tmp_path, kubeflow={"url": service.url, "pipeline": "train wine"}).start(EVENT, never)
    assert kubeflow.runs == []
