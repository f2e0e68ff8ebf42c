"""Real runs that are followed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from experiments.listener import listening
from experiments.run_texts import QUICK
from experiments.runs import fairtrial, journal_of, only_run
from fairtrial.journal.entries import Kind

pytestmark = pytest.mark.timeout(300)  # two runs on a busy machine

_FILE = (
    QUICK
    + """\
  notifications:
    - {webhookFrom: {env: HOOK}}
    - {webhook: "http://127.0.0.1:9/", events: [verdict]}
  tracking: {mlflow: {trackingUri: "http://127.0.0.1:9"}}
"""
)
_KILLED = Path(__file__).parents[1] / "controller" / "killed.py"


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(trained, folder)
    (folder / "experiment.yaml").write_text(_FILE)
    return folder


def test_an_address_that_is_not_there_is_told_before_anything_is_done(project: Path):
    done = fairtrial("run", cwd=project)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(
        "spec.notifications.0: the environment's HOOK is empty or not set, where the address should be"
    )
    assert not (project / "runs").exists()


def test_a_killed_run_tells_each_turn_whoever_is_away(project: Path, monkeypatch: pytest.MonkeyPatch):
    with listening() as listener:
        monkeypatch.setenv("HOOK", listener.url)
        # killed when the promotion is made and not journalled
        command = [sys.executable, str(_KILLED), "promote", "unjournalled", "run", "experiment.yaml"]
        code = subprocess.run(
            command, cwd=project, env=os.environ, capture_output=True, timeout=110, check=False
        )
        assert code.returncode == -signal.SIGKILL
        run = only_run(project)
        resumed = fairtrial("resume", run, cwd=project)

    assert resumed.returncode == 0, resumed.stderr
    entries = journal_of(run)
    told = Counter(each["id"] for each in listener.got)
    assert listener.events[0] == "started"
    assert set(listener.events) == {"started", "step", "verdict", "promoted"}
    # Killed between sending and writing it down, which is a matter of milliseconds, it may be told twice.
    assert max(told.values()) <= 2
    assert listener.events[-1] == "promoted"
    by_id = {f"{run.name}/{entry.seq}": entry for entry in entries}
    assert all(
        by_id[each["id"]].time == pytest.approx(_seconds(each["time"]), abs=0.01) for each in listener.got
    )
    incidents = [entry.body["message"] for entry in entries if entry.kind is Kind.INCIDENT]
    for who in (
        "spec.notifications.1: the webhook at 127.0.0.1 ",
        "spec.tracking.mlflow: the MLflow server at ",
    ):
        assert any(each.startswith(who) for each in incidents), incidents
    assert "HOOK" not in str(incidents)
    status = fairtrial("status", run, cwd=project)
    assert "ended" in status.stdout


def _seconds(told: str) -> float:
    return datetime.fromisoformat(told).timestamp()
