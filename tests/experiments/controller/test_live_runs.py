"""Whole runs on live traffic: real models behind the executor and Envoy, real users, a real collector."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from experiments.collect.collectors import Collector, collecting
from experiments.controller.users import Users
from experiments.runs import (
    FAIRTRIAL,
    assert_no_orphans,
    fairtrial,
    journal_of,
    observations,
    only_run,
)
from fairtrial.journal.entries import Effect, Kind
from servers.store.programs import free_port

_FILE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
metadata: {{name: live}}
spec:
  baseline: {{name: v1, modelUri: models/v1}}
  candidates: [{{name: v2, modelUri: models/v2}}]
  strategy:
    canary: {{steps: [{{setWeight: 20, minRequests: 20}}, {{setWeight: 50}}]}}
  traffic:
    live: {{source: requestLog, collector: "{url}", maxDuration: 60s, expectedRate: 80/s,
           feedbackWindow: 1s, unit: customer}}
  metrics:
    - {{name: accuracy, minEffect: {effect}pp}}
    - {{name: errorRate, maxRegression: 5pp}}
  analysis: {{lookInterval: 500ms, minRequests: 20}}
"""


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with collecting(tmp_path / "evidence.db") as found:
        yield found


def _write(project: Path, collector: Collector, *, effect: int = 8) -> None:
    (project / "experiment.yaml").write_text(_FILE.format(url=collector.url, effect=effect), encoding="utf-8")


@pytest.mark.timeout(400)
@pytest.mark.slow  # models, users, and a run from its beginning to its end
def test_users_decide_and_a_killed_run_goes_on_where_it_was(quick_project: Path, collector: Collector):
    _write(quick_project, collector)
    port = free_port()
    users = Users(port, collector.port, quick_project / "holdout.parquet", rate=80)
    with users.at_work():
        run = subprocess.Popen(
            [*FAIRTRIAL, "run", "--port", str(port)], cwd=quick_project, stderr=subprocess.PIPE, text=True
        )
        _await_part(quick_project, run, 3)
        run.send_signal(signal.SIGKILL)
        run.communicate()
        assert_no_orphans(only_run(quick_project))
        resumed = fairtrial("resume", "--port", str(port), cwd=quick_project)

    assert resumed.returncode == 0, resumed.stderr
    folder = only_run(quick_project)
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["verdict"] == "PROMOTE"
    seen = observations(folder)
    assert len(set(seen.column("id").to_pylist())) == seen.num_rows
    assert seen.column("sequence").to_pylist() == list(range(1, seen.num_rows + 1))
    assert {"step-1", "step-2"} <= set(seen.column("segment").to_pylist())
    assert fairtrial("replay", folder, cwd=quick_project).returncode == 0
    judged = fairtrial("judge", "--data", folder / "observations", "--output", "json", cwd=quick_project)
    assert json.loads(judged.stdout)["metrics"] == verdict["metrics"]
    assert fairtrial("explain", folder, cwd=quick_project).returncode == 0
    # Whoever was killed within the shift deploys at the step that it was to bring.
    splits = [
        entry.body["revision"]
        for entry in journal_of(folder)
        if entry.kind is Kind.DONE and entry.effect in (Effect.DEPLOY, Effect.SHIFT)
    ]
    assert splits[-1] == "step-2", "promoted from the last step"


@pytest.mark.timeout(400)
@pytest.mark.slow  # models, users and a collector that comes back
def test_a_collector_that_is_killed_is_waited_for_and_blamed_on_nobody(
    quick_project: Path, collector: Collector
):
    _write(quick_project, collector, effect=0)
    text = (quick_project / "experiment.yaml").read_text()
    text = text.replace("models/v1", "models/old").replace("models/v2", "models/v1")
    (quick_project / "experiment.yaml").write_text(
        text.replace("models/old", "models/v2")
    )  # a worse candidate
    port = free_port()
    users = Users(port, collector.port, quick_project / "holdout.parquet", rate=30)
    with users.at_work():
        run = subprocess.Popen(
            [*FAIRTRIAL, "run", "--port", str(port)], cwd=quick_project, stderr=subprocess.PIPE, text=True
        )
        _await_part(quick_project, run, 1)
        collector.end(signal.SIGKILL)
        time.sleep(2.0)  # users go on, and their requests are logged to nobody
        assert run.poll() is None
        collector.start()
        _, told = run.communicate(timeout=100)

    assert run.returncode == 10, told
    folder = only_run(quick_project)
    incidents = [entry.body["message"] for entry in journal_of(folder) if entry.kind is Kind.INCIDENT]
    assert any("does not answer" in said and "the run waits" in said for said in incidents), incidents
    assert any(said.startswith(f"the collector at {collector.url} answers again") for said in incidents)
    seen = observations(folder)
    assert set(seen.column("status").to_pylist()) == {200}
    assert len(set(seen.column("id").to_pylist())) == seen.num_rows
    assert fairtrial("replay", folder, cwd=quick_project).returncode == 0


def _await_part(project: Path, run: subprocess.Popen[str], number: int) -> None:
    deadline = time.monotonic() + 60
    while not list(project.glob(f"runs/*/observations/part-{number:06d}.parquet")):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
