"""Real runs from real Airflow: the example DAG, and tasks that are killed and tried again."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from contexts import context


def airflow(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "airflow", *words],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.fixture(scope="session")
def database(airflow_home: Path) -> Path:
    made = airflow("db", "migrate")
    assert made.returncode == 0, made.stderr
    return airflow_home / "airflow.db"


@pytest.mark.usefixtures("database")
def test_airflow_knows_the_provider():
    listed = json.loads(airflow("providers", "list", "--output", "json").stdout)
    assert "fairtrial-airflow" in {each["package_name"] for each in listed}
    shown = airflow("providers", "get", "fairtrial-airflow", "--full", "--output", "json").stdout
    assert "fairtrial_airflow.operators.run" in shown
    assert "fairtrial_airflow.links.ReportLink" in airflow("providers", "links", "--output", "json").stdout


def test_the_example_runs_in_airflow(database: Path, command: Path, project: Path):
    ran = airflow(
        "dags",
        "test",
        "fairtrial_trial",
        "2026-11-28",
        FAIRTRIAL_PROJECT=str(project),
        FAIRTRIAL_COMMAND=str(command),
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    states, pushed = _of_run(database)
    assert states == dict.fromkeys(("trial", "recorded", "score", "pack"), "success"), ran.stdout[-4000:]
    verdict = pushed["trial", "verdict"]
    assert verdict["verdict"] == "PROMOTE"
    assert verdict["exitCode"] == 0
    assert Path(verdict["report"]).is_file()
    run = Path(verdict["folder"]).name
    assert pushed["trial", "_link_ReportLink"] == f"https://reports.example.com/{run}/report.html"
    assert pushed["recorded", "verdict"]["run"] == run
    assert pushed["score", "return_value"]["rows"] > 0
    assert (project / "scored.parquet").is_file()
    assert pushed["pack", "return_value"]
    assert (project / "packed.tar").is_file()


def _of_run(database: Path) -> tuple[dict[str, str], dict[tuple[str, str], Any]]:
    with sqlite3.connect(database) as connection:
        states = dict(connection.execute("SELECT task_id, state FROM task_instance").fetchall())
        rows = connection.execute("SELECT task_id, key, value FROM xcom").fetchall()
    connection.close()
    return states, {(task, key): _read(value) for task, key, value in rows}


def _read(value: Any) -> Any:
    found = json.loads(value)
    return json.loads(found) if isinstance(found, str) and found[:1] in "{[" else found


@pytest.fixture
def killed(project: Path, tmp_path: Path, command: Path) -> Any:
    """An operator whose run is well under way, and how its first try ended once it is killed."""
    from fairtrial_airflow.operators.run import FairtrialRunOperator

    folder = tmp_path / "project"
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns("runs"))
    file = folder / "experiment.yaml"
    file.write_text(file.read_text().replace("lookInterval: 500ms", "lookInterval: 500ms, fullCycle: 8s"))
    operator = FairtrialRunOperator(
        task_id="trial",
        experiment="experiment.yaml",
        cwd=str(folder),
        executable=str(command),
        arguments=["--budget", "5m", "--backend=local", "--workers", "1", "--summary", "summary.md"],
    )
    ended: list[BaseException] = []

    def work() -> None:
        try:
            operator.execute(context())
        except Exception as error:  # noqa: BLE001 - told by the test
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    deadline = time.monotonic() + 60
    while not _sends(folder):
        assert thread.is_alive(), ended
        assert time.monotonic() < deadline
        time.sleep(0.1)
    operator.on_kill()
    thread.join(60)
    return operator, ended


def _sends(folder: Path) -> bool:
    """Whether the load of the run has begun: its verdict is seconds away then."""
    for journal in folder.glob("runs/**/journal.db"):
        with sqlite3.connect(journal) as connection:
            found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone()
            begun = found and connection.execute("SELECT 1 FROM entries WHERE effect = 'load'").fetchone()
        connection.close()
        return bool(begun)
    return False


def test_a_task_that_is_killed_shuts_down_and_the_next_try_goes_on_with_its_run(killed: Any):
    from airflow.sdk.exceptions import AirflowFailException

    operator, (ended,) = killed
    assert type(ended).__name__ == "AirflowException"  # so that it is tried again
    rows = Path(operator.cwd) / "holdout.parquet"
    recorded = rows.read_bytes()
    rows.write_bytes(recorded + b" ")
    with pytest.raises(AirflowFailException, match="has changed since"):  # no reason to draw another verdict
        operator.execute(context())
    rows.write_bytes(recorded)
    told = context()
    document = operator.execute(told)
    assert document["verdict"] == "PROMOTE"
    runs = Path(document["folder"]).parent
    assert [each.name for each in runs.iterdir()] == [document["run"]]
    assert operator.report_link == Path(document["report"]).as_uri()
    assert (Path(operator.cwd) / "summary.md").is_file()
    # What has its verdict is not taken up again: the next trial is another one.
    assert operator._taken_up(runs) is None
