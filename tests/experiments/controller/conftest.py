from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fairtrial.projects.training import train
from fairtrial.projects.writing import write_project

# Decided by a few hundred rows within seconds, so that a run is short enough to be killed many times.
_QUICK = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
metadata: {name: quick}
spec:
  baseline: {name: v1, modelUri: models/v1}
  candidates: [{name: v2, modelUri: models/v2}]
  strategy:
    canary: {steps: [{setWeight: 10, minRequests: 20}, {setWeight: 50}]}
  traffic:
    loadTest: {arrivalRate: 150/s, maxDuration: 20s}
  metrics:
    - {name: accuracy, minEffect: 8pp}
  analysis: {lookInterval: 500ms}
"""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "project"
    write_project("better", folder)
    train(folder, print)
    return folder


@pytest.fixture
def quick_project(trained: Path, tmp_path: Path) -> Path:
    """A project whose run takes seconds and ends in PROMOTE."""
    folder = tmp_path / "project"
    shutil.copytree(trained, folder)
    (folder / "experiment.yaml").write_text(_QUICK, encoding="utf-8")
    return folder


@pytest.fixture
def long_project(quick_project: Path) -> Path:
    """A project whose run goes on for a minute: whatever is to happen to it happens before its end."""
    text = _QUICK.replace("maxDuration: 20s", "maxDuration: 60s").replace("minEffect: 8pp", "minEffect: 14pp")
    (quick_project / "experiment.yaml").write_text(text, encoding="utf-8")
    return quick_project
