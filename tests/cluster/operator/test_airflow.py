"""Airflow asks the operator for trials: its provider in its own environment, on a real API server."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cluster.control_plane import ControlPlane
from cluster.operator.conftest import Cluster, Start
from cluster.operator.scripted import GOOD

pytestmark = pytest.mark.heavy

_PROVIDER = Path(__file__).parents[3] / "integrations" / "airflow"


@pytest.fixture(scope="module")
def python() -> Path:
    """Of the provider's environment."""
    found = _PROVIDER / ".venv" / "bin" / "python"
    if not found.exists():
        pytest.skip("the provider has no environment: uv sync --project integrations/airflow")
    return found


@pytest.fixture
def environment(
    python: Path, control_plane: ControlPlane, cluster: Cluster, tmp_path: Path
) -> dict[str, str]:
    """Of an Airflow that has nothing but the provider's examples; the experiment is one of the namespace."""
    file = tmp_path / "experiment.yaml"
    file.write_text(json.dumps(cluster.manifest()))
    return os.environ | {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(_PROVIDER / "fairtrial_airflow" / "example_dags"),
        "KUBECONFIG": str(control_plane.kubeconfig),
        "FAIRTRIAL_EXPERIMENT": str(file),
        "FAIRTRIAL_NAMESPACE": cluster.namespace,
        "FAIRTRIAL_POLL": "0.5",
    }


@pytest.mark.timeout(300)  # Airflow takes its time to start, four times over
def test_a_deferred_task_waits_for_the_operator_and_has_its_verdict(
    python: Path, environment: dict[str, str], cluster: Cluster, start: Start, tmp_path: Path
):
    airflow = [python, "-m", "airflow"]
    subprocess.run([*airflow, "db", "migrate"], env=environment, check=True, capture_output=True)
    start()
    log = tmp_path / "airflow.log"
    with (
        log.open("w") as said,
        subprocess.Popen(
            [*airflow, "dags", "test", "fairtrial_on_cluster"], env=environment, stdout=said, stderr=said
        ) as task,
    ):
        try:
            cluster.until_step("1/2")
            cluster.source().bring(40, GOOD)
            task.wait(150)
        finally:
            task.kill()
    told = log.read_text()
    assert task.returncode == 0, told[-4000:]
    assert "new_state=deferred" in told
    pushed = _pushed(Path(environment["AIRFLOW_HOME"]) / "airflow.db")
    assert pushed["verdict"]["phase"] == "Promoted"
    assert pushed["verdict"]["verdict"]["verdict"] == "PROMOTE"
    assert pushed["return_value"] == pushed["verdict"]


def _pushed(database: Path) -> dict[str, Any]:
    connection = sqlite3.connect(database)
    rows = connection.execute("SELECT key, value FROM xcom").fetchall()
    connection.close()
    found = {key: json.loads(value) for key, value in rows}
    return {key: json.loads(v) if isinstance(v, str) and v[:1] == "{" else v for key, v in found.items()}


def test_a_task_joins_its_own_run_and_another_task_begins_another(
    python: Path, environment: dict[str, str], cluster: Cluster, start: Start
):
    def ask(what: str) -> Any:
        program = (
            "import asyncio, json, os, sys; from fairtrial_airflow.cluster import *;"
            "from fairtrial_airflow.triggers import ExperimentTrigger;"
            "namespace, config = os.environ['FAIRTRIAL_NAMESPACE'], os.environ['KUBECONFIG'];"
            "cluster = Cluster(namespace, kubeconfig=config);"
            "manifest = json.load(open(os.environ['FAIRTRIAL_EXPERIMENT']));"
            f"print(json.dumps({what}), file=sys.stderr)"
        )
        ran = subprocess.run(
            [python, "-c", program], env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stderr.splitlines()[-1])

    start()
    assert ask("cluster.start(manifest, 'one')") is None
    cluster.until_step("1/2")
    assert ask("cluster.start(manifest, 'one')") is None  # the same task, tried again
    assert ask("cluster.start(manifest, 'two')") is None  # of the same spec, and going on: joined
    assert cluster.status()["run"]["attempt"] == 1
    assert ask("state_of(cluster.get('wine'), None).ended") is False
    cluster.source().bring(40, GOOD)
    first = cluster.until_phase("Promoted")["run"]["id"]
    assert ask("state_of(cluster.get('wine'), None).ended") is True
    assert ask("cluster.start(manifest, 'three')") == first
    assert ask(f"state_of(cluster.get('wine'), {first!r}).ended") is False
    cluster.until(lambda status: status["run"]["attempt"] == 2)
    assert ask("cluster.start(manifest, 'three')") == first
    killed = (
        "ExperimentTrigger(name='wine', namespace=namespace, kubeconfig=config, abort_on_kill=True).on_kill()"
    )
    assert ask(f"asyncio.run({killed})") is None
    assert cluster.until_phase("Aborted")["run"]["attempt"] == 2
