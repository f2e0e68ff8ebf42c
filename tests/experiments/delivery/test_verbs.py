"""`watch`, `history` and `undo` as they are typed: words, exit codes, documents, and never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from experiments.delivery.conftest import EXPERIMENT, OLD_SQL, Models
from experiments.delivery.logs import tamper
from experiments.delivery.watches import StandIn, Watched
from experiments.runs import fairtrial as in_a_process
from fairtrial.cli.group import cli
from fairtrial.delivery import opening
from fairtrial.delivery.inbox import Inbox
from fairtrial.delivery.ledger import Action, read
from fairtrial.delivery.pipeline.reading import load
from fairtrial.delivery.state import State, held

pytestmark = OLD_SQL

PIPELINE = """\
apiVersion: fairtrial.dev/v1alpha1
kind: Pipeline
metadata: {name: wine}
spec:
  registry: {mlflow: {model: wine, trackingUri: "URL"}}
"""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """In place of a version's servers, which take half a minute each."""
    service = StandIn()
    monkeypatch.setattr(opening, "service_of", lambda *_: service)
    return service


@pytest.fixture
def project(wine: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: StandIn) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(wine.trained / "holdout.parquet", folder)
    (folder / "experiment.yaml").write_text(EXPERIMENT.replace("MODEL", "wine"))
    (folder / "pipeline.yaml").write_text(PIPELINE.replace("URL", wine.url))
    monkeypatch.chdir(folder)
    return folder


def fairtrial(*args: str) -> Result:
    result = CliRunner().invoke(cli, list(args))
    assert "Traceback" not in result.output
    assert "MLFLOW_REGISTRY_URI" not in os.environ, "the registry's address is left in the process"
    assert "a bug in Fairtrial" not in result.output
    return result


def watched(wine: Models, count: int) -> None:
    """Versions, each given the champion's alias by hand in turn."""
    for _ in range(count):
        wine.give("champion", wine.add("v1"))
        assert fairtrial("watch", "--once").exit_code == 0


def waiting(project: Path) -> list[str]:
    with closing(State(project / "deliveries" / "wine")) as state:
        return [each.event.key for each in Inbox(state).waiting()]


class TestWatch:
    def test_what_it_does_is_said_on_stderr_and_told_as_lines_of_json(
        self, wine: Models, project: Path
    ) -> None:
        wine.give("challenger", wine.add("v1"))
        result = fairtrial("watch", "--once", "--output", "json")
        assert result.exit_code == 0
        (entry,) = map(json.loads, result.stdout.splitlines())
        assert (entry["action"], entry["version"], entry["seq"]) == ("promoted", "1", 1)
        said = [line for line in result.stderr.splitlines() if not line.startswith("fetch")]
        assert said == [
            "challenger: version 1 is to be tried",
            "wine: version 1 is taken on",
            "wine: fetching models:/wine/1",
            "wine: scanning it",
            "wine: telling the registry",
            "wine: champion moves to version 1",
            "version 1 is in service at http://127.0.0.1:8080",
        ]
        again = fairtrial("watch", "--once", "--output", "json")
        assert (again.exit_code, again.output) == (0, "")

    def test_two_at_once_are_one_and_a_word_to_the_second(self, project: Path) -> None:
        State(project / "deliveries" / "wine").close()
        with held(project / "deliveries" / "wine"):
            result = fairtrial("watch")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == (
            f"error: the pipeline in {project}/deliveries/wine is watched by process {os.getpid()} already\n"
        )
        assert fairtrial("watch", "--once").exit_code == 0

    def test_a_file_that_is_not_there_or_another(self, project: Path) -> None:
        result = fairtrial("watch", "-f", "none.yaml")
        assert (result.exit_code, result.stderr) == (2, "error: there is no file none.yaml\n")
        result = fairtrial("watch", "-f", "experiment.yaml")
        assert result.exit_code == 2
        assert result.stderr == (
            'error: experiment.yaml:3:7 kind: expected Pipeline, got the text "Experiment"; `fairtrial run` '
            "takes it\n"
        )
        result = fairtrial("watch", "-f", ".")
        assert result.stderr == ("error: . is a folder, not a pipeline file; did you mean pipeline.yaml?\n")
        assert not (project / "deliveries").exists()

    def test_an_experiment_that_will_not_do(self, project: Path) -> None:
        with (project / "experiment.yaml").open("a") as file:
            file.write("  onInconclusive: hold\n")
        result = fairtrial("watch")
        assert result.exit_code == 2
        assert result.stderr.endswith(
            "spec.onInconclusive: hold leaves two versions in service; a pipeline needs one\n"
        )
        assert not (project / "deliveries").exists()

    def test_a_port_that_is_taken(self, project: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with (project / "pipeline.yaml").open("a") as file:
                file.write(f"  listen: {{port: {port}}}\n")
            result = fairtrial("watch")
        assert result.exit_code == 2
        assert result.stderr == (
            f"error: cannot listen at 127.0.0.1:{port}: Address already in use; say another one in "
            f"spec.listen\n"
        )

    def test_a_registry_that_is_away_fails_what_asks_once(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        (project / "pipeline.yaml").write_text(PIPELINE.replace("URL", "http://127.0.0.1:9"))
        # A process of its own: MLflow's client keeps the address that it had first for what it fetches.
        result = in_a_process("watch", "--once", cwd=project)
        assert result.returncode == 3
        assert result.stderr.splitlines()[-1].startswith(
            "error: challenger: the MLflow registry at http://127.0.0.1:9 cannot be asked for the challenger"
        )

    def test_a_folder_that_cannot_be_made(self, project: Path) -> None:
        (project / "deliveries").touch()
        result = fairtrial("watch")
        assert result.exit_code == 2
        assert result.stderr == (
            f"error: cannot make the pipeline's folder {project}/deliveries/wine: Not a directory\n"
        )

    def test_a_history_that_was_tampered_with_is_told_before_anything_is_done(
        self, wine: Models, project: Path, service: StandIn
    ) -> None:
        watched(wine, 2)
        service.served.clear()
        tamper(
            project / "deliveries" / "wine" / "delivery.db",
            lambda connection: connection.execute("UPDATE ledger SET entry = replace(entry, '1', '3')"),
        )
        result = fairtrial("watch")
        assert result.exit_code == 1
        assert result.stderr.endswith("was tampered with: entry 1 is not what was written\n")
        assert service.served == []


class TestHistory:
    def test_nothing_watched_and_nothing_happened(self, project: Path) -> None:
        result = fairtrial("history")
        assert result.exit_code == 2
        assert result.stderr == (
            f"error: no pipeline has been watched in {project}: start `fairtrial watch`, or go to the folder "
            "of its file\n"
        )
        assert fairtrial("watch", "--once").exit_code == 0
        result = fairtrial("history")
        assert (result.exit_code, result.stdout) == (0, "nothing has happened yet\n")
        assert json.loads(fairtrial("history", "wine", "--output", "json").stdout) == {"entries": []}

    def test_what_happened_and_what_served_then(self, wine: Models, project: Path) -> None:
        watched(wine, 2)
        lines = fairtrial("history").stdout.splitlines()
        assert [line.partition("Z  ")[2].partition(", by")[0] for line in lines if "Z  " in line] == [
            "wine 1 is in service",
            "wine 2 is in service (before: 1)",
        ]
        entries = json.loads(fairtrial("history", "--output", "json").stdout)["entries"]
        between = entries[1]["time"] - 0.001
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(between)) + f"{between % 1:.3f}"[1:]
        found = json.loads(fairtrial("history", "--at", at, "--output", "json").stdout)
        assert found["inService"]["version"] == "1"
        now = fairtrial("history", "--at", "2999-01-01").stdout
        assert "wine 2 was in service, since " in now
        assert "no version is known" in fairtrial("history", "--at", "2020-01-01").stdout
        bad = fairtrial("history", "--at", "yesterday")
        assert bad.exit_code == 2
        assert bad.stderr.startswith("error: --at yesterday: expected a time such as")

    def test_it_is_held_against_the_registry(self, wine: Models, project: Path) -> None:
        watched(wine, 2)
        result = fairtrial("history", "--verify", "pipeline.yaml")
        assert result.exit_code == 0
        assert result.stdout.startswith(
            "the registry has hashes of it in the tags of 2 versions, each as it should be\n"
        )
        document = json.loads(fairtrial("history", "--verify", "pipeline.yaml", "--output", "json").stdout)
        assert (document["verifiedVersions"], len(document["entries"])) == (2, 2)
        tamper(
            project / "deliveries" / "wine" / "delivery.db",
            lambda connection: connection.execute("DELETE FROM ledger WHERE seq = 2"),
        )
        assert fairtrial("history").exit_code == 0, "unbroken in itself"
        result = fairtrial("history", "--verify", "pipeline.yaml", "--output", "json")
        assert result.exit_code == 1
        assert json.loads(result.stdout)["error"] == (
            "the history was tampered with: version 2 has the hash of an entry 2 at the registry, and the "
            "history has no such entry; it has 1"
        )


class TestUndo:
    def test_nothing_was_watched(self, project: Path) -> None:
        result = fairtrial("undo")
        assert result.exit_code == 2
        assert result.stderr == (
            f"error: no pipeline was watched in {project}/deliveries/wine: there is no delivery.db\n"
        )
        assert not (project / "deliveries").exists()

    def test_there_is_none_to_return_to(self, wine: Models, project: Path) -> None:
        watched(wine, 1)
        result = fairtrial("undo")
        assert result.exit_code == 2
        assert result.stderr.endswith(
            "error: there is no earlier good version of wine to return to; the history has only 1\n"
        )

    def test_the_last_good_version_is_back_and_the_history_says_who_and_why(
        self, wine: Models, project: Path
    ) -> None:
        watched(wine, 3)
        result = fairtrial("undo", "--reason", "complaints", "--output", "json")
        assert result.exit_code == 0
        document = json.loads(result.stdout)
        assert (document["version"], document["before"], document["entry"]) == ("2", "3", 4)
        assert "wine 2 is in service again (before: 3)" in result.stderr
        assert wine.holder("champion") == "2"
        assert "undone: complaints" in fairtrial("history").stdout
        assert fairtrial("undo", "--to", "3").stdout == "wine 3 is in service again (before: 2)\n"

    def test_a_version_that_the_registry_has_not(self, wine: Models, project: Path) -> None:
        watched(wine, 2)
        result = fairtrial("undo", "--to", "9")
        assert result.exit_code == 2
        assert "error: the registry has no version 9 of wine; the newest are 2, 1\n" in result.stderr
        assert waiting(project) == []

    def test_what_cannot_be_done_now_is_not_done_later_by_surprise(
        self, wine: Models, project: Path, service: StandIn
    ) -> None:
        watched(wine, 2)
        with closing(sqlite3.connect(project.parent / "mlflow.db")) as database:
            database.execute("ALTER TABLE model_versions RENAME TO elsewhere")
            result = fairtrial("undo")
            database.execute("ALTER TABLE elsewhere RENAME TO model_versions")
        assert result.exit_code == 3
        assert waiting(project) == []
        service.served.clear()
        assert fairtrial("watch", "--once").exit_code == 0
        assert service.served == []
        with closing(State(project / "deliveries" / "wine")) as state:
            assert read(state)[-1].action is Action.FAILED

    def test_a_watch_that_runs_does_it(self, wine: Models, project: Path) -> None:
        watched(wine, 2)
        watch = Watched(load("pipeline.yaml"))
        ended = threading.Event()

        def work() -> None:
            while not ended.wait(0.05):
                watch.work()

        thread = threading.Thread(target=work)
        with held(project / "deliveries" / "wine"):
            thread.start()
            try:
                result = fairtrial("undo", "--reason", "complaints")
            finally:
                ended.set()
                thread.join()
        watch.state.close()
        assert result.exit_code == 0, result.stderr
        assert result.stdout == "wine 1 is in service again (before: 2)\n"
        assert result.stderr == "the watch that runs is told\n"
        assert watch.service.served == ["1"]
