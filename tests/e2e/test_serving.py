"""`fairtrial serve`, and a SeldonDeployment that a platform team wrote by hand."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from e2e.conftest import Demo
from experiments.runs import FAIRTRIAL, fairtrial, ready

_BY_HAND = """\
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
metadata:
  name: digits
  labels: {team: vision}
spec:
  protocol: v2
  predictors:
    - name: tree
      traffic: 75
      graph: {name: tree, implementation: SKLEARN_SERVER, modelUri: models/v1}
    - name: svm
      traffic: 25
      graph: {name: svm, implementation: SKLEARN_SERVER, modelUri: models/v2}
"""

_EXPERIMENT = """\
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
metadata: {name: by-hand}
spec:
  deployment: seldondeployment.yaml
  baseline: {name: tree}
  candidates: [{name: svm}]
  traffic: {loadTest: {arrivalRate: 150/s, maxDuration: 20s}}
  metrics: [{name: accuracy, minEffect: 5pp}]
"""


@contextmanager
def serving(*args: str | Path, cwd: Path) -> Iterator[dict[str, Any]]:
    process = subprocess.Popen(
        [*FAIRTRIAL, "serve", *map(str, args), "--output", "json"],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield ready(process)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_one_model_is_served_with_no_flag(demo: Demo):
    with serving(demo.project / "models" / "v2", cwd=demo.cwd) as where:
        metadata = httpx.get(f"{where['url']}/v2/models/{where['model']}", timeout=10).json()
        rows = [
            {"name": metadata["inputs"][0]["name"], "shape": [1, 64], "datatype": "FP64", "data": [0.0] * 64}
        ]
        answer = httpx.post(
            f"{where['url']}/v2/models/{where['model']}/infer", json={"inputs": rows}, timeout=10
        )
    assert metadata["inputs"][0]["shape"] == [-1, 64]
    assert answer.status_code == 200
    assert answer.json()["outputs"][0]["shape"] == [1, 1]


def test_a_file_that_is_no_model_is_refused_in_words(demo: Demo):
    result = fairtrial("serve", demo.project / "README.md", cwd=demo.cwd)
    assert result.returncode == 2
    assert "of no known model format" in result.stderr


def test_a_manifest_written_by_hand_is_served_as_it_says(demo: Demo):
    (demo.project / "seldondeployment.yaml").write_text(_BY_HAND)
    with serving(demo.project / "seldondeployment.yaml", cwd=demo.cwd) as where:
        assert where["weights"] == {"tree": 75, "svm": 25}
        rows = [{"name": "predict", "shape": [1, 64], "datatype": "FP64", "data": [0.0] * 64}]
        with httpx.Client(timeout=10) as client:
            answers = [
                client.post(f"{where['url']}/v2/models/infer", json={"inputs": rows}) for _ in range(200)
            ]
    assert {answer.status_code for answer in answers} == {200}
    arms = [answer.headers["x-fairtrial-arm"] for answer in answers]
    assert 20 < arms.count("svm") < 80
    assert all(answer.json()["model_name"] == arm for answer, arm in zip(answers, arms, strict=True))


def test_a_manifest_written_by_hand_is_tried_by_an_experiment(demo: Demo):
    (demo.project / "seldondeployment.yaml").write_text(_BY_HAND)
    (demo.project / "by-hand.yaml").write_text(_EXPERIMENT)
    result = fairtrial("run", "by-hand.yaml", "--runs-dir", demo.cwd / "by-hand", cwd=demo.project)
    assert result.returncode == 0, result.stderr
    assert "PROMOTE" in result.stdout
