"""`fairtrial undo` while a real trial runs: it is cut off, and begun anew against what serves then."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from experiments.delivery.conftest import EXPERIMENT, OLD_SQL, Models
from experiments.delivery.watches import Watched, pipeline_of
from experiments.runs import FAIRTRIAL, fairtrial, processes_of

# Two trials, and the servers of five arms one after another.
pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600), OLD_SQL]

PIPELINE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Pipeline
metadata: {name: wine}
spec:
  registry: {mlflow: {model: wine, trackingUri: "URL"}}
  triggers: [{name: new-version, registry: {every: 1s}}]
"""


def until(holds: Callable[[], bool], timeout: float = 240) -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_an_undo_does_not_wait_for_a_trial_which_begins_anew_against_what_serves_then(
    wine: Models, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(wine.trained / "holdout.parquet", project)
    (project / "experiment.yaml").write_text(EXPERIMENT.replace("MODEL", "wine"))
    (project / "pipeline.yaml").write_text(PIPELINE.replace("URL", wine.url))
    before = Watched(pipeline_of(project, wine.url))
    for _ in range(2):  # which serve in name alone: nobody asks them
        wine.give("champion", wine.add("v1"))
        before.once()
    before.state.close()
    said = project / "watch.log"
    with said.open("wb") as log:
        watch = subprocess.Popen(
            [*FAIRTRIAL, "watch"], cwd=project, stdout=log, stderr=log, env={**os.environ, "CI": "1"}
        )
    try:
        wine.give("challenger", wine.add("v2"))
        runs = project / "deliveries" / "wine" / "runs"
        until(lambda: "trial: " in said.read_text())
        undone = fairtrial("undo", "--reason", "complaints", cwd=project, timeout=240)
        assert undone.returncode == 0, undone.stderr
        assert undone.stdout == "wine 1 is in service again (before: 2)\n"
        until(lambda: wine.holder("champion") == "3")
        until(lambda: len(history(project)) == 4)
        watch.send_signal(signal.SIGINT)
        assert watch.wait(60) == 130
    finally:
        watch.kill()
        watch.wait()
    assert not processes_of(project / "deliveries")
    assert [(each["action"], each["version"], each["before"]) for each in history(project)] == [
        ("adopted", "1", None),
        ("adopted", "2", "1"),
        ("rolledBack", "1", "2"),
        ("promoted", "3", "1"),
    ]
    assert len(list(runs.glob("*/*/journal.db"))) == 2
    assert "cut off by what is more urgent" in said.read_text()


def history(project: Path) -> list[dict]:
    return json.loads(fairtrial("history", "--output", "json", cwd=project).stdout)["entries"]
