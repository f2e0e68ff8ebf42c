"""`fairtrial watch` as the pod of the chart `pipeline` runs it, with the rights of its ServiceAccount.

No pods run here: its arguments, environment and volumes are laid out in a folder, in place of the container.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cluster.client import Client, Object
from cluster.cloud import Cloud
from cluster.control_plane import ControlPlane
from cluster.helm import Helm
from cluster.pipelines import Container, account, container, entries, environment, pipeline, release
from cluster.seldon_operator import SELDON, SeldonOperator
from experiments.conftest import trained  # noqa: F401
from experiments.delivery.conftest import OLD_SQL, Models, empty_mlflow, wine  # noqa: F401
from experiments.runs import FAIRTRIAL

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180), OLD_SQL]


class Pod:
    """What runs in the release's one container, and what `kubectl exec` runs there."""

    def __init__(self, inside: Container, config: Path) -> None:
        self.inside = inside
        self._env = environment(inside, config)

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*FAIRTRIAL, *args],
            cwd=self.inside.cwd, env=self._env, capture_output=True, text=True, timeout=110, check=False,
        )  # fmt: skip

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [*FAIRTRIAL, *self.inside.args],
            cwd=self.inside.cwd, env=self._env, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=10)


def in_service(api: Client, namespace: str) -> list[tuple[str, str]]:
    found = api.get(SELDON, "SeldonDeployment", "wine", namespace=namespace)
    assert found is not None
    return [(each["name"], each["graph"]["modelUri"]) for each in found["spec"]["predictors"]]


def started(objects: list[Object], api: Client, plane: ControlPlane, folder: Path) -> Pod:
    inside = container(objects, folder / "root", {"wine-listener": "a-secret"})
    return Pod(inside, account(api, plane, objects, folder))


@pytest.fixture
def cloud(istio: Client, seldon_operator: SeldonOperator) -> Iterator[Cloud]:
    """Its second version is 20 points better."""
    cloud = Cloud(istio, seldon_operator, lambda arm, row: row % 100 < {"v1": 40, "v2": 20}[arm])
    cloud.start()
    yield cloud
    cloud.stop()


def test_versions_are_delivered_and_an_undo_needs_no_options(
    wine: Models,  # noqa: F811
    helm: Helm,
    api: Client,
    control_plane: ControlPlane,
    cloud: Cloud,
    namespace: str,
    tmp_path: Path,
):
    serve = {"kubernetes": {"gatewayUrl": cloud.options[1], "serviceUrl": cloud.options[3]}}
    registry = {"name": "MLFLOW_TRACKING_URI", "value": wine.url}
    objects = release(helm, namespace, pipeline(serve=serve), env=[registry])
    pod = started(objects, api, control_plane, tmp_path)
    given = pod.inside.files()
    models = {"v1": wine.add("v1"), "v2": wine.add("v2")}
    for name, version in models.items():
        wine.give("challenger", version)
        done = pod.run(*pod.inside.args, "--once")
        assert done.returncode == 0, done.stderr
        assert wine.holder("champion") == version, done.stderr
        assert in_service(api, namespace) == [(name, f"models:/wine/{version}")]

    done = pod.run("undo", "--reason", "complaints")
    assert done.returncode == 0, done.stderr
    assert in_service(api, namespace) == [("v1", "models:/wine/1")]
    assert entries(pod.run("history", "--output", "json").stdout) == [
        ("promoted", "1"),
        ("promoted", "2"),
        ("rolledBack", "1"),
    ]
    assert api.list("coordination.k8s.io/v1", "Lease", namespace=namespace) == []
    trials = pod.inside.root.glob("pipeline/deliveries/wine/runs/*")
    assert [each.name for each in trials] == ["2"], "the first version is put to none"
    new = {each for each in pod.inside.files() if not each.startswith(("/pipeline/deliveries/", "/tmp/"))}
    assert new == given, "its folder can only be read"


def test_its_probes_are_answered_and_it_ends_when_it_is_told_to(
    wine: Models,  # noqa: F811
    helm: Helm,
    api: Client,
    control_plane: ControlPlane,
    seldon_operator: SeldonOperator,
    namespace: str,
    tmp_path: Path,
):
    with socket.create_server(("127.0.0.2", 0)) as free:
        port = free.getsockname()[1]
    # Of this machine alone, and none of those that the chart knows to be so.
    listen = {"address": "127.0.0.2", "port": port, "token": "LISTEN_TOKEN"}
    text = pipeline(
        registry={"mlflow": {"model": "wine", "alias": "champion", "trackingUri": wine.url}},
        listen=listen,
        triggers=[{"name": "bad", "cloudEvent": {"type": "bad"}, "do": ["rollBack"]}],
    )
    objects = release(helm, namespace, text, listenToken={"existingSecret": "wine-listener"})
    pod = started(objects, api, control_plane, tmp_path)
    said = pod.inside.said
    base = f"http://127.0.0.2:{said['ports'][0]['containerPort']}"
    with pod.running() as watch:
        _await(f"{base}{said['startupProbe']['httpGet']['path']}", watch)
        for probe in ("livenessProbe", "readinessProbe"):
            assert httpx.get(f"{base}{said[probe]['httpGet']['path']}").status_code == 200
        event = {"specversion": "1.0", "id": "1", "source": "/test", "type": "good"}
        headers = {"Content-Type": "application/cloudevents+json"}
        assert httpx.post(f"{base}/events", json=event, headers=headers).status_code == 401
        headers["Authorization"] = "Bearer a-secret"
        assert httpx.post(f"{base}/events", json=event, headers=headers).status_code == 200
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(pod.inside.grace) == 130


def _await(url: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the listener does not answer"
        time.sleep(0.1)
