"""`fairtrial serve` with a graph that somebody wrote by hand: a component, and models on real MLServers."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import joblib
import pytest
from experiments.runs import FAIRTRIAL, fairtrial, ready
from fairtrial.evidence.sources import open_source
from sklearn.dummy import DummyRegressor

COMPONENT = Path(__file__).parents[1] / "graphs" / "executor" / "component.py"

GRAPH = """\
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
metadata: {name: numbers}
spec:
  protocol: v2
  predictors:
    - name: both
      componentSpecs: [{spec: {containers: [{name: plus, image: "reg/plus:1"}]}}]
      graph:
        name: plus
        type: TRANSFORMER
        children:
          - name: split
            implementation: RANDOM_ABTEST
            parameters: [{name: ratioA, value: "0.5", type: FLOAT}]
            children:
              - {name: seven, implementation: SKLEARN_SERVER, modelUri: seven.joblib}
              - {name: eight, implementation: SKLEARN_SERVER, modelUri: eight.joblib}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, constant in (("seven", 7.0), ("eight", 8.0)):
        model = DummyRegressor(strategy="constant", constant=constant).fit([[0.0, 0.0]], [constant])
        joblib.dump(model, tmp_path / f"{name}.joblib")
    (tmp_path / "graph.yaml").write_text(GRAPH)
    return tmp_path


def test_a_component_and_two_models_are_served_until_interrupted(project: Path):
    stand_in = f"reg/plus:*={sys.executable} {COMPONENT} add"
    process = subprocess.Popen(
        [
            *(*FAIRTRIAL, "serve", "graph.yaml", "--stand-in", stand_in),
            *("--access-log", "logs/access", "--output", "json"),
        ],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = ready(process)["url"]
        body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 2.0]}]}
        with httpx.Client(timeout=20) as client:
            answers = [client.post(f"{url}/v2/models/infer", json=body) for _ in range(30)]
    finally:
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert {answer.status_code for answer in answers} == {200}, answers[0].text
    numbers = {"seven": 7.0, "eight": 8.0}
    by_model = {answer.json()["model_name"]: answer.json()["outputs"][0]["data"] for answer in answers}
    assert by_model == {name: [value] for name, value in numbers.items()}
    assert all(answer.headers["seldon-puid"] for answer in answers)
    assert process.returncode == 130
    assert "both is ready" in told
    (batch,) = open_source(project / "logs" / "access").batches()
    assert batch["arm"].to_pylist() == ["both"] * 30
    assert batch["status"].to_pylist() == [200] * 30


@pytest.mark.parametrize(
    ("what", "log", "sentence"),
    [
        ("seven.joblib", "access", "--access-log is for the split of a SeldonDeployment, and seven.joblib"),
        ("graph.yaml", "eight.joblib", "--access-log eight.joblib cannot be a folder (File exists)"),
    ],
)
def test_an_access_log_that_cannot_be_is_bad_usage(project: Path, what: str, log: str, sentence: str):
    result = fairtrial("serve", what, "--access-log", log, cwd=project)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_an_image_without_a_stand_in_is_bad_usage(project: Path):
    result = fairtrial("serve", "graph.yaml", cwd=project)
    assert result.returncode == 2
    assert "graph.yaml: spec.predictors.0.graph: node plus runs the image reg/plus:1" in result.stderr
    assert "Traceback" not in result.stderr
