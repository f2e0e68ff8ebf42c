"""`fairtrial run --backend kubernetes` from its first change to its last, and what may come between them.

A real API server; stand-ins for Seldon's operator and for the pods.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cluster.client import Client, Object
from cluster.cloud import Cloud
from cluster.control_plane import ControlPlane
from cluster.seldon_operator import ISTIO, SELDON, Health, SeldonOperator, weights_of
from experiments.runs import FAIRTRIAL, only_run

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180)]

EXPERIMENT = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
metadata: {name: wine}
spec:
  baseline: {name: v1, modelUri: s3://models/v1, format: sklearn, replicas: 2}
  candidates: [{name: v2, modelUri: s3://models/v2, format: sklearn}]
  strategy:
    canary: {steps: [{setWeight: 10, minRequests: 20}, {setWeight: 50}]}
  traffic:
    loadTest: {arrivalRate: 150/s, maxDuration: MAXIMUM}
  metrics:
    - {name: accuracy, minEffect: EFFECT}
    - {name: errorRate, role: guardrail, maxRegression: 2pp}
  analysis: {lookInterval: 500ms}
"""


def is_wrong(arm: str, row: int) -> bool:
    return row % 100 < {"v1": 40, "v2": 20}[arm]


@pytest.fixture
def cloud(istio: Client, seldon_operator: SeldonOperator) -> Iterator[Cloud]:
    cloud = Cloud(istio, seldon_operator, is_wrong)
    cloud.start()
    yield cloud
    cloud.stop()


class Project:
    """An experiment whose candidate is 20 points better, in a namespace of its own."""

    def __init__(self, folder: Path, namespace: str, plane: ControlPlane, cloud: Cloud, api: Client) -> None:
        self.folder = folder
        self.namespace = namespace
        self._api = api
        self._options = ["--backend", "kubernetes", "--kubeconfig", str(plane.kubeconfig), "-n", namespace]
        self._options += [*cloud.options, "--ready-timeout", "10"]
        rows = pa.table({"x": list(range(2000)), "target": [row % 2 for row in range(2000)]})
        pq.write_table(rows, folder / "holdout.parquet")
        self.write(maximum="30s", effect="8pp")

    def write(self, *, maximum: str, effect: str) -> None:
        text = EXPERIMENT.replace("MAXIMUM", maximum).replace("EFFECT", effect)
        (self.folder / "experiment.yaml").write_text(text, encoding="utf-8")

    def start(self, verb: str = "run", *more: str) -> subprocess.Popen[str]:
        options = self._options if verb == "run" else []
        return subprocess.Popen(
            [*FAIRTRIAL, verb, *options, *more],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        said, _ = process.communicate(timeout=120)
        return process.returncode, said

    def until(self, verdict: Callable[[Object | None], Any], kind: str = "SeldonDeployment") -> Object | None:
        version = SELDON if kind == "SeldonDeployment" else ISTIO
        return self._api.wait(version, kind, "wine", verdict, namespace=self.namespace, timeout=60)

    def until_job(self) -> Object:
        deadline = time.monotonic() + 60
        while not (found := self._api.list("batch/v1", "Job", namespace=self.namespace)):
            assert time.monotonic() < deadline, "no Job was made"
            time.sleep(0.2)
        return found[0]

    def predictors(self) -> dict[str, int | None]:
        """By name, how many replicas it is to have."""
        found = self._api.get(SELDON, "SeldonDeployment", "wine", namespace=self.namespace)
        assert found is not None
        return {each["name"]: each.get("replicas") for each in found["spec"]["predictors"]}

    def split(self) -> dict[str, int]:
        found = self._api.get(ISTIO, "VirtualService", "wine", namespace=self.namespace)
        assert found is not None
        return weights_of(found)

    def leases(self) -> list[Object]:
        return self._api.list("coordination.k8s.io/v1", "Lease", namespace=self.namespace)


@pytest.fixture
def project(
    tmp_path: Path, namespace: str, control_plane: ControlPlane, cloud: Cloud, api: Client
) -> Project:
    return Project(tmp_path, namespace, control_plane, cloud, api)


def at(**weights: int) -> Callable[[Object | None], bool]:
    return lambda route: route is not None and weights_of(route) == weights


def test_a_better_candidate_is_promoted_with_the_baselines_capacity(project: Project, cloud: Cloud):
    code, said = project.end(project.start())
    assert code == 0, said
    assert project.predictors() == {"v2": 2}
    assert project.split() == {"v2": 100}
    assert project.leases() == []
    assert cloud.served["wine-v1"] > 0
    verdict = json.loads((only_run(project.folder) / "verdict.json").read_text("utf-8"))
    assert verdict["verdict"] == "PROMOTE"
    assert verdict["sampleRatio"] is not None, "requests through the split are told apart by when they came"


def test_load_from_the_cluster_is_that_of_a_job_which_goes_with_the_run(
    project: Project, api: Client, tmp_path: Path
):
    """No pods run here: what they would run is started by hand, as the Job and its Secret say."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        master = f"127.0.0.1:{free.getsockname()[1]}"
    options = ["--load-image", "example.org/load:1", "--expect-workers", "2", "--bind", master]
    process = project.start("run", *options)
    run = project.until_job()
    container = run["spec"]["template"]["spec"]["containers"][0]
    name = run["metadata"]["name"]
    secret = api.get("v1", "Secret", name, namespace=project.namespace)
    assert secret is not None
    token = base64.b64decode(secret["data"]["token"]).decode()
    workers = [
        subprocess.Popen(
            [sys.executable, *container["command"][1:], *container["args"][:2], "--name", f"pod-{number}"],
            env={**os.environ, "FAIRTRIAL_LOAD_TOKEN": token},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in range(run["spec"]["parallelism"])
    ]
    code, said = project.end(process)
    assert [each.wait(20) for each in workers] == [0, 0]
    assert code == 0, said
    assert token not in said
    assert project.predictors() == {"v2": 2}
    assert api.list("batch/v1", "Job", namespace=project.namespace) == []
    assert name not in {
        each["metadata"]["name"] for each in api.list("v1", "Secret", namespace=project.namespace)
    }


def test_a_candidate_that_never_is_ready_leaves_the_baseline(
    project: Project, seldon_operator: SeldonOperator
):
    seldon_operator.set_health(project.namespace, "wine-v2", Health.UNPULLABLE)
    code, said = project.end(project.start())
    assert code == 3, said
    assert "v2: 0 of 1 pods are ready" in said
    assert project.predictors() == {"v1": 2}
    assert project.leases() == []
    code, said = project.end(project.start("resume"))
    assert code == 2, said
    assert "start another" in said


def test_a_candidate_that_crashes_at_half_of_the_traffic_is_rolled_back(
    project: Project, seldon_operator: SeldonOperator
):
    project.write(maximum="60s", effect="15pp")
    process = project.start()
    project.until(at(v1=50, v2=50), "VirtualService")
    seldon_operator.set_health(project.namespace, "wine-v2", Health.CRASHING)
    code, said = project.end(process)
    assert code == 10, said
    assert project.predictors() == {"v1": 2}
    assert project.split() == {"v1": 100}


def test_another_hands_edit_ends_the_run_and_stays(project: Project, api: Client):
    project.write(maximum="60s", effect="15pp")
    process = project.start()
    project.until(at(v1=90, v2=10), "VirtualService")
    found = api.get(SELDON, "SeldonDeployment", "wine", namespace=project.namespace)
    assert found is not None
    predictors = [{**each, "traffic": 50} for each in found["spec"]["predictors"]]
    change = {"spec": {"predictors": predictors}}
    api.patch(SELDON, "SeldonDeployment", "wine", change, namespace=project.namespace)
    code, said = project.end(process)
    assert code == 5, said
    assert "was changed by" in said
    stands = api.get(SELDON, "SeldonDeployment", "wine", namespace=project.namespace)
    assert stands is not None
    assert [each["traffic"] for each in stands["spec"]["predictors"]] == [50, 50]


def test_a_second_run_is_refused_and_a_killed_one_is_resumed(project: Project):
    project.write(maximum="60s", effect="12pp")
    process = project.start()
    project.until(at(v1=90, v2=10), "VirtualService")
    code, said = project.end(project.start("run", "--runs-dir", "others"))
    assert code == 5, said
    assert "is on trial in run wine-" in said
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    code, said = project.end(project.start("resume", str(only_run(project.folder))))
    assert code == 0, said
    assert project.predictors() == {"v2": 2}
    assert project.leases() == []


def test_a_killed_run_that_is_aborted_returns_to_the_baseline(project: Project):
    process = project.start()
    project.until(at(v1=90, v2=10), "VirtualService")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    run = str(only_run(project.folder))
    code, said = project.end(project.start("abort", run))
    assert code == 0, said
    code, said = project.end(project.start("resume", run))
    assert code == 12, said
    assert project.predictors() == {"v1": 2}
    assert project.leases() == []
