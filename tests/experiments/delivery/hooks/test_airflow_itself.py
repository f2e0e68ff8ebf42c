"""A real Airflow's API server: what it makes of our requests, and of the same ones again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from experiments.delivery.hooks.choosing import hook
from experiments.delivery.hooks.events import EVENT, NAME, TOLD, never
from fairtrial.errors import NotReadyError, UsageError
from servers.store.programs import answers, free_port, running

pytestmark = [
    pytest.mark.heavy,  # Airflow, in an environment of its own: a minute to make its database
    pytest.mark.timeout(600),
]

_DAG = """
from airflow.sdk import dag


@dag(dag_id="train_wine", schedule=None)
def train():
    pass


train()
"""
_ROOT = Path(__file__).parents[4]


def _program() -> str | None:
    """FAIRTRIAL_TEST_AIRFLOW, or that of the environment of the provider for Airflow."""
    own = _ROOT / "integrations" / "airflow" / ".venv" / "bin" / "airflow"
    return os.environ.get("FAIRTRIAL_TEST_AIRFLOW") or (
        str(own) if own.is_file() else shutil.which("airflow")
    )


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Its address, and a file with a token."""
    program = _program()
    if program is None:
        pytest.skip("there is no Airflow here: say in FAIRTRIAL_TEST_AIRFLOW where it is")
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    (home / "dags" / "train.py").write_text(_DAG)
    env = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "us:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "PATH": f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for verb in (("db", "migrate"), ("dags", "reserialize")):
        made = subprocess.run(
            [program, *verb], env={**os.environ, **env}, cwd=home, capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, made.stderr[-3000:]
    port = free_port()
    argv = [program, "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with running([*argv, "--apps", "core"], answers(port), home, env=env):
        url = f"http://127.0.0.1:{port}"
        password = json.loads((home / "passwords.json").read_text())["us"]
        login = {"username": "us", "password": password}
        told = httpx.post(f"{url}/auth/token", json=login, timeout=60)
        (home / "token").write_text(told.json()["access_token"])
        yield url, home


def test_a_run_is_begun_once_and_has_the_event(airflow: tuple[str, Path]):
    url, home = airflow
    train = hook(home, airflow={"url": url, "dag": "train_wine", "token": {"file": "token"}})
    assert train.start(EVENT, never) == f"run {NAME} of the DAG train_wine"
    assert train.start(EVENT, never) == f"run {NAME} of the DAG train_wine had been begun"
    token = (home / "token").read_text()
    runs = httpx.get(
        f"{url}/api/v2/dags/train_wine/dagRuns", headers={"Authorization": f"Bearer {token}"}, timeout=30
    ).json()["dag_runs"]
    assert [(run["dag_run_id"], run["conf"]) for run in runs] == [(NAME, {"fairtrial": TOLD})]


def test_what_it_refuses_is_told(airflow: tuple[str, Path]):
    url, home = airflow
    lost = hook(home, airflow={"url": url, "dag": "nope", "token": {"file": "token"}})
    with pytest.raises(UsageError, match=r"asked to start the DAG nope, and answered 404; see spec\.retrain"):
        lost.start(EVENT, never)
    stranger = hook(home, airflow={"url": url, "dag": "train_wine"})
    with pytest.raises(UsageError, match="answered 401; see the token"):
        stranger.start(EVENT, never)


def test_one_that_is_down_may_come_back(airflow: tuple[str, Path]):
    _, home = airflow
    gone = hook(home, airflow={"url": f"http://127.0.0.1:{free_port()}", "dag": "train_wine"})
    with pytest.raises(NotReadyError, match=r"Airflow at 127\.0\.0\.1 cannot be reached"):
        gone.start(EVENT, never)
