"""Pipelines as resources: what the operator makes of them on a real API server, with the rights of its chart.

There is no kubelet: the tests say what their pods are like, and run what is in them.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import pipelines as charted
from cluster.client import Client, Object, RefusedError
from cluster.cloud import Cloud
from cluster.control_plane import ControlPlane, kubeconfig
from cluster.helm import Helm
from cluster.operator.conftest import Cluster, Running
from cluster.pipelines import EXPERIMENT, ROWS, container, entries, environment, only, release
from cluster.recording import rights
from cluster.seldon_operator import SELDON
from cluster.service_accounts import installed, token_of
from cluster.test_pipeline_pod import Pod, cloud  # noqa: F401
from experiments.conftest import trained  # noqa: F401
from experiments.delivery.conftest import OLD_SQL, Models, empty_mlflow, wine  # noqa: F401
from fairtrial.operator.pipelines import keeper
from fairtrial.operator.pipelines.crd import crd

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180), OLD_SQL]

PIPELINE = ("fairtrial.dev/v1alpha1", "Pipeline")
RBAC = "rbac.authorization.k8s.io/v1"
#: Of what a pipeline becomes, with its API version.
OBJECTS = {
    "ServiceAccount": "v1",
    "Role": RBAC,
    "RoleBinding": RBAC,
    "ConfigMap": "v1",
    "Service": "v1",
    "StatefulSet": "apps/v1",
}
IMAGE = "registry.example/fairtrial:0.1.0"
LISTENING = {"address": "0.0.0.0", "port": 8077, "token": "TOKEN"}


@dataclasses.dataclass
class Pipelines:
    """What a test does with pipelines of one namespace, and what it sees of them."""

    api: Client
    namespace: str

    def manifest(self, name: str = "wine", **spec: Any) -> dict[str, Any]:
        said = {
            "registry": {"mlflow": {"model": "wine", "alias": "champion"}},
            "experiment": yaml.safe_load(EXPERIMENT)["spec"],
            "pod": {"files": {"configMap": "holdout"}},
        }
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": PIPELINE[0], "kind": PIPELINE[1], "metadata": metadata,
                "spec": copy.deepcopy(said | spec)}  # fmt: skip

    def create(self, name: str = "wine", **spec: Any) -> Object:
        return self.api.create(self.manifest(name, **spec))

    def change(self, name: str = "wine", **spec: Any) -> None:
        self.api.patch(*PIPELINE, name, {"spec": spec}, namespace=self.namespace)

    def files(self, **files: str) -> None:
        about = {"name": "holdout"}
        data = {name.replace("_", "."): text for name, text in files.items()}
        self.api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": data},
                       namespace=self.namespace, force=True)  # fmt: skip

    def until(self, holds: Callable[[Object], Any], name: str = "wine", timeout: float = 30.0) -> Object:
        """The status once that holds of it."""

        def seen(found: Object | None) -> Any:
            return found is not None and holds(found.get("status") or {})

        found = self.api.wait(*PIPELINE, name, seen, namespace=self.namespace, timeout=timeout)
        assert found is not None
        return found["status"]

    def until_phase(self, phase: str, saying: str = "", name: str = "wine") -> Object:
        return self.until(lambda status: status.get("phase") == phase and saying in status["message"], name)

    def get(self, kind: str, name: str = "wine-pipeline") -> Object | None:
        return self.api.get(OBJECTS[kind], kind, name, namespace=self.namespace)

    def objects(self, name: str = "wine-pipeline") -> dict[str, Object]:
        found = {kind: self.get(kind, name) for kind in OBJECTS}
        return {kind: each for kind, each in found.items() if each is not None}

    def checksum(self) -> str:
        found = self.get("StatefulSet")
        assert found is not None
        return _checksum(found)

    def await_pod(self, checksum: str) -> Object:
        def it(pod: Object | None) -> bool:
            return pod is not None and pod["metadata"]["annotations"]["fairtrial.dev/files"] == checksum

        found = self.api.wait("v1", "Pod", "wine-pipeline-0", it, namespace=self.namespace, timeout=60)
        assert found is not None
        return found

    def pod_is(self, **status: Any) -> None:
        """What a kubelet would say of it."""
        self.api.patch("v1", "Pod", "wine-pipeline-0", {"status": status},
                       namespace=self.namespace, subresource="status")  # fmt: skip

    def pod_is_ready(self, ready: bool = True) -> None:
        holds = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-11-28T00:00:00Z"}
        self.pod_is(phase="Running", conditions=[holds])

    def told(self) -> list[str]:
        found = self.api.list("v1", "Event", namespace=self.namespace)
        return [each["reason"] for each in found if each["involvedObject"]["kind"] == PIPELINE[1]]

    def until_told(self, reason: str) -> None:
        deadline = time.monotonic() + 15
        while reason not in self.told():
            assert time.monotonic() < deadline, f"nobody was told of {reason}"
            time.sleep(0.1)


def _checksum(stateful_set: Object) -> str:
    return stateful_set["spec"]["template"]["metadata"]["annotations"]["fairtrial.dev/files"]


@pytest.fixture(scope="session")
def kind(api: Client) -> Client:
    """A client of a server that has the kind Pipeline."""
    api.install([crd()])
    return api


@pytest.fixture
def pipelines(kind: Client, namespace: str) -> Pipelines:
    found = Pipelines(kind, namespace)
    found.files(rows_csv=ROWS)
    return found


Start = Callable[..., Running]


@pytest.fixture
def start(
    control_plane: ControlPlane, cluster: Cluster, helm: Helm, kind: Client, tmp_path: Path
) -> Iterator[Start]:
    """Start an operator with the rights that its chart gives it; it is stopped with the test."""
    installed(helm, cluster.api, cluster.namespace)
    token = token_of(cluster.api, cluster.namespace)
    config = kubeconfig(tmp_path / "operator", control_plane.url, control_plane.authority, token)
    running: list[Running] = []

    def new(**settings: Any) -> Running:
        running.append(
            Running(dataclasses.replace(control_plane, kubeconfig=config), cluster, image=IMAGE, **settings)
        )
        return running[-1]

    yield new
    for each in running:
        each.stop()


def test_a_pipeline_becomes_a_pod_that_follows_its_spec_and_ends_with_it(
    pipelines: Pipelines, start: Start, controller_manager: None
):
    start()
    uid = pipelines.create()["metadata"]["uid"]
    status = pipelines.until_phase("Starting")
    assert status["observedGeneration"] == 1
    assert pipelines.objects().keys() == OBJECTS.keys() - {"Service"}
    for each in pipelines.objects().values():
        assert [owner["uid"] for owner in each["metadata"]["ownerReferences"]] == [uid]
    pipelines.await_pod(before := pipelines.checksum())
    pipelines.pod_is_ready()
    pipelines.until_phase("Watching")
    pipelines.until_told("Applied")

    # What the pod writes stays, and is shown beside what the operator writes.
    said = {"inService": "2", "since": "2026-11-28T12:00:00Z", "last": {"action": "promoted", "version": "2"}}
    pipelines.api.patch(*PIPELINE, "wine", {"status": said}, namespace=pipelines.namespace,
                        subresource="status")  # fmt: skip
    pipelines.change(
        listen=LISTENING,
        pod={"listenToken": {"secret": "wine-listener"}},
        triggers=[{"name": "bad", "cloudEvent": {"type": "bad"}, "do": ["rollBack"]}],
    )
    pipelines.until(lambda status: status["observedGeneration"] == 2 and status["phase"] != "Watching")
    assert "Service" in pipelines.objects()
    after = pipelines.checksum()
    assert after != before
    pipelines.await_pod(after)
    pipelines.pod_is_ready()
    status = pipelines.until_phase("Watching")
    assert {name: status[name] for name in said} == said
    table = pipelines.api.table(*PIPELINE, namespace=pipelines.namespace)
    names = [column["name"] for column in table["columnDefinitions"]]
    (row,) = table["rows"]
    assert dict(zip(names, row["cells"], strict=True)) | {"Age": ""} == {
        "Name": "wine", "Phase": "Watching", "In service": "2", "Last": "promoted", "Age": "",
    }  # fmt: skip

    pipelines.change(listen=None, triggers=None, pod={"listenToken": None, "serviceAccount": "default"})
    pipelines.until(lambda status: status["observedGeneration"] == 3)
    assert pipelines.objects().keys() == {"ConfigMap", "StatefulSet"}

    pipelines.api.delete(*PIPELINE, "wine", namespace=pipelines.namespace)
    another = pipelines.create()["metadata"]["uid"]  # at once, while what was made for the other goes
    pipelines.until_phase("Starting")
    for each in pipelines.objects().values():
        assert [owner["uid"] for owner in each["metadata"]["ownerReferences"]] == [another]
    pipelines.api.delete(*PIPELINE, "wine", namespace=pipelines.namespace)
    for each, version in OBJECTS.items():
        pipelines.api.wait(version, each, "wine-pipeline", lambda found: found is None,
                           namespace=pipelines.namespace, timeout=60)  # fmt: skip
    (claim,) = pipelines.api.list("v1", "PersistentVolumeClaim", namespace=pipelines.namespace)
    assert claim["metadata"]["name"] == "state-wine-pipeline-0"
    assert "deletionTimestamp" not in claim["metadata"]


def test_what_is_wrong_is_refused_in_words_and_what_runs_goes_on(pipelines: Pipelines, start: Start):
    start()
    pipelines.create(challenger="champion", pod={})
    status = pipelines.until_phase("Refused")
    assert "spec.challenger: that is the alias of the version in service" in status["message"]
    assert "there is no data at rows.csv; bring it by spec.pod.files" in status["message"]
    assert {each["type"]: each["status"] for each in status["conditions"]}["Accepted"] == "False"
    assert pipelines.objects() == {}
    pipelines.until_told("Refused")

    pipelines.change(challenger="contender", pod={"files": {"configMap": "none"}})
    pipelines.until_phase("Pending", "there is no ConfigMap none")
    pipelines.change(pod={"files": {"configMap": "holdout"}})
    pipelines.until_phase("Starting")
    before = pipelines.objects()

    def wrong(message: str, mended: dict[str, Any], **spec: Any) -> None:
        pipelines.change(**spec)
        pipelines.until_phase("Refused", message)
        assert pipelines.objects() == before
        pipelines.change(**mended)
        pipelines.until_phase("Starting")

    metrics = pipelines.manifest()["spec"]["experiment"]["metrics"]
    twice = {"metrics": [*metrics, *metrics]}
    wrong("spec.experiment.metrics.1.name", {"experiment": {"metrics": metrics}}, experiment=twice)
    # What only the API server can judge, and what cannot be changed.
    wrong(
        "quantities must match",
        {"pod": {"resources": None}},
        pod={"resources": {"limits": {"memory": "a lot"}}},
    )
    wrong("limts", {"pod": {"resources": None}}, pod={"resources": {"limts": {"memory": "1Gi"}}})
    ours = "no right that it does not have itself"
    pipelines.change(serve={"kubernetes": {"route": "gateway-api"}})
    pipelines.until_phase("Pending", ours)
    assert pipelines.objects() == before
    pipelines.change(serve=None)
    pipelines.until_phase("Starting")
    wrong("the volume stays as it was made", {"pod": {"storage": None}}, pod={"storage": {"size": "20Gi"}})


def test_what_is_not_the_pipelines_own_is_left_as_it_is(pipelines: Pipelines, start: Start):
    about = {"name": "wine-pipeline", "labels": {"app.kubernetes.io/managed-by": "Helm"}}
    others = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {"a": "b"}}
    made = pipelines.api.create(others, namespace=pipelines.namespace)
    start()
    pipelines.create()
    status = pipelines.until_phase("Refused", "that is not this pipeline's")
    assert status["message"].startswith(f"there is a ConfigMap {pipelines.namespace}/wine-pipeline ")
    assert pipelines.objects() == {"ConfigMap": made}

    pipelines.api.delete("v1", "ConfigMap", "wine-pipeline", namespace=pipelines.namespace)
    pipelines.change(challenger="contender")  # it would be seen by itself, later
    pipelines.until_phase("Starting")
    # What somebody has set on it since is theirs.
    scaled = {"spec": {"replicas": 0}}
    pipelines.api.patch(OBJECTS["StatefulSet"], "StatefulSet", "wine-pipeline", scaled,
                        namespace=pipelines.namespace)  # fmt: skip
    pipelines.change(challenger="other")
    pipelines.until_phase("Refused", "has set spec.replicas; set it back")
    found = pipelines.get("StatefulSet")
    assert found is not None
    assert found["spec"]["replicas"] == 0

    # Nobody collects garbage here: what was the other pipeline's is never taken for this one's.
    pipelines.api.delete(*PIPELINE, "wine", namespace=pipelines.namespace)
    pipelines.create()
    pipelines.until_phase("Pending", "of the pipeline wine before this one is still there")


def test_why_a_pod_is_not_ready_is_said_in_words(
    pipelines: Pipelines, start: Start, controller_manager: None
):
    start()
    pipelines.create()
    pipelines.until_phase("Starting")
    pipelines.await_pod(pipelines.checksum())
    said = {"name": "watch", "image": IMAGE, "imageID": "", "ready": False, "restartCount": 1}
    ended = {"exitCode": 2, "reason": "Error", "message": "error: there is no data at rows.csv\n"}
    waits = {"reason": "CrashLoopBackOff", "message": "back-off"}
    crash = {**said, "state": {"waiting": waits}, "lastState": {"terminated": ended}}
    pipelines.pod_is(phase="Running", containerStatuses=[crash])
    pipelines.until_phase("NotReady", "it said last: error: there is no data at rows.csv")


def test_another_replica_goes_on_and_disturbs_nothing(pipelines: Pipelines, start: Start):
    first = start()
    pipelines.create()
    pipelines.until_phase("Starting")
    before = pipelines.objects()
    start()
    first.stop()
    pipelines.create("beer")
    pipelines.until_phase("Starting", name="beer")
    assert pipelines.objects() == before, "nothing is written where all is as it is to be"
    pipelines.change(challenger="contender")
    pipelines.until(lambda status: status["observedGeneration"] == 2)
    assert pipelines.checksum() != _checksum(before["StatefulSet"])


def test_what_others_change_or_remove_is_seen_by_itself(
    pipelines: Pipelines, start: Start, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(keeper, "_AGAIN", {True: 0.5, False: 0.5, None: 0.5})
    start()
    pipelines.create()
    pipelines.until_phase("Starting")
    before = pipelines.checksum()
    pipelines.files(rows_csv=f"{ROWS}1,1\n")
    namespace = pipelines.namespace

    def changed(found: Object | None) -> bool:
        return found is not None and _checksum(found) != before

    pipelines.api.wait("apps/v1", "StatefulSet", "wine-pipeline", changed, namespace=namespace)
    pipelines.api.delete(RBAC, "Role", "wine-pipeline", namespace=namespace)
    pipelines.api.delete("apps/v1", "StatefulSet", "wine-pipeline", namespace=namespace)
    for each in ("Role", "StatefulSet"):
        pipelines.api.wait(OBJECTS[each], each, "wine-pipeline", bool, namespace=namespace)
    pipelines.files(rows=ROWS)
    pipelines.until_phase("Refused", "there is no data at rows.csv")
    pipelines.files(rows_csv=ROWS)
    pipelines.until_phase("Starting")
    assert pipelines.checksum() == before


def test_a_cluster_that_does_not_know_pipelines_yet_runs_experiments(
    pipelines: Pipelines,
    cluster: Cluster,
    experiments: Client,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr(keeper, "_WITHOUT_KIND", 0.2)
    of_kind = ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "pipelines.fairtrial.dev")
    pipelines.api.delete(*of_kind)
    pipelines.api.wait(*of_kind, lambda found: found is None)
    try:
        start()
        cluster.create()
        cluster.until_step("1/2")
        assert caplog.text.count("its definition is missing; `fairtrial schema --crd` prints it") == 1
    finally:
        pipelines.api.install([crd()])
    pipelines.create()
    pipelines.until_phase("Starting")


def test_the_pod_is_that_of_the_chart(pipelines: Pipelines, start: Start, helm: Helm):
    """Which is tried where pods run; only what is called otherwise, and what is the operator's, differs."""
    start()
    pod = {
        "files": {"configMap": "holdout"},
        "data": {"claim": "rows"},
        "listenToken": {"secret": "wine-listener"},
        "registryCredentials": {"secret": "push"},
        "env": [{"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow:5000"}],
        "envFrom": [{"secretRef": {"name": "more"}}],
    }
    triggers = [{"name": "bad", "cloudEvent": {"type": "bad"}, "do": ["rollBack"]}]
    pipelines.create(listen=LISTENING, triggers=triggers, pod=pod)
    pipelines.until_phase("Starting")
    ours = pipelines.objects()
    objects = release(
        helm, pipelines.namespace, charted.pipeline(listen=LISTENING, triggers=triggers),
        files={}, existingFiles={"configMap": "holdout", "keys": ["rows.csv"]},
        data={"existingClaim": "rows"}, listenToken={"existingSecret": "wine-listener"},
        registryCredentials={"existingSecret": "push"}, env=pod["env"], envFrom=pod["envFrom"],
        image={"registry": "registry.example", "tag": "0.1.0"},
    )  # fmt: skip
    # As the API server has it, with all of its defaults.
    theirs = pipelines.api.apply(only(objects, "StatefulSet"), namespace=pipelines.namespace, dry_run=True)
    spec = [_comparable(each) for each in (ours["StatefulSet"], theirs)]
    assert spec[0] == spec[1]
    own = {"apiGroups": ["fairtrial.dev"], "resources": ["pipelines/status"], "verbs": ["patch"],
           "resourceNames": ["wine"]}  # fmt: skip
    rules = [each for each in ours["Role"]["rules"] if each != own]
    assert len(rules) == len(ours["Role"]["rules"]) - 1
    assert rights(rules) == rights(only(objects, "Role")["rules"])


def _comparable(stateful_set: Object) -> Object:
    text = json.dumps(stateful_set["spec"])
    for name, common in (("trial-pipeline", "wine-pipeline"), ("existing-files", "given-files")):
        text = text.replace(name, common)
    spec = json.loads(text)
    for labelled in (spec["template"], spec["volumeClaimTemplates"][0]):
        labelled["metadata"].pop("labels")
    spec["template"]["metadata"].pop("annotations")
    spec.pop("selector")
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    container.pop("terminationMessagePolicy")
    container["env"] = sorted(
        (each for each in container["env"] if each["name"] != "FAIRTRIAL_PIPELINE"), key=json.dumps
    )
    pod["volumes"].sort(key=json.dumps)
    container["volumeMounts"].sort(key=json.dumps)
    return spec


def test_the_pod_of_a_pipeline_delivers_versions_with_the_rights_that_it_is_given(
    wine: Models,  # noqa: F811
    pipelines: Pipelines,
    start: Start,
    control_plane: ControlPlane,
    cloud: Cloud,  # noqa: F811
    tmp_path: Path,
):
    start()
    serve = {"kubernetes": {"gatewayUrl": cloud.options[1], "serviceUrl": cloud.options[3]}}
    registry = {"name": "MLFLOW_TRACKING_URI", "value": wine.url}
    pipelines.create(serve=serve, pod={"files": {"configMap": "holdout"}, "env": [registry]})
    pipelines.until_phase("Starting")
    objects = pipelines.objects()
    given = pipelines.api.get("v1", "ConfigMap", "holdout", namespace=pipelines.namespace)
    assert given is not None
    inside = container([*objects.values(), given], tmp_path / "root", {})
    token = pipelines.api.token(pipelines.namespace, "wine-pipeline")
    config = kubeconfig(
        tmp_path / "pod", control_plane.url, control_plane.authority, token, pipelines.namespace
    )
    pod = Pod(inside, config)
    assert environment(inside, config)["FAIRTRIAL_PIPELINE"] == f"{pipelines.namespace}/wine"
    for name in ("v1", "v2"):
        wine.give("challenger", version := wine.add(name))
        done = pod.run(*inside.args, "--once")
        assert done.returncode == 0, done.stderr
        assert wine.holder("champion") == version, done.stderr
    found = pipelines.api.get(SELDON, "SeldonDeployment", "wine", namespace=pipelines.namespace)
    assert found is not None
    assert [each["graph"]["modelUri"] for each in found["spec"]["predictors"]] == ["models:/wine/2"]
    history = pod.run("history", "--output", "json")
    assert entries(history.stdout) == [("promoted", "1"), ("promoted", "2")]

    shown = pipelines.until(lambda status: status)
    assert (shown["inService"], shown["last"]["action"], shown["last"]["version"]) == ("2", "promoted", "2")
    assert shown["since"] == shown["last"]["time"]
    assert shown["phase"] == "Starting", "the operator's own fields are as they were"
    done = pod.run("undo", "--reason", "complaints")
    assert done.returncode == 0, done.stderr
    shown = pipelines.until(lambda status: status)
    assert (shown["inService"], shown["last"]["action"]) == ("1", "rolledBack")
    assert "complaints" in shown["last"]["why"]

    pod_api = Client(control_plane.url, control_plane.authority, token)
    pipelines.create("beer")
    try:
        with pytest.raises(RefusedError):
            pod_api.patch(
                *PIPELINE, "beer", {"status": {"inService": "2"}},
                namespace=pipelines.namespace, subresource="status",
            )  # fmt: skip
    finally:
        pod_api.close()
