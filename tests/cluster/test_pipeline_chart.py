"""The chart `pipeline`: what it refuses, what it lets its pod do, and how it is updated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster.client import Client
from cluster.control_plane import ControlPlane
from cluster.gateway import Gateway
from cluster.helm import ChartError, Helm
from cluster.pipelines import EXPERIMENT, NAME, ROWS, account, container, only, pipeline, release
from cluster.recording import Recording, Right, rights
from cluster.seldon_operator import SeldonOperator
from fairtrial.controller.applying import applied, released
from fairtrial.controller.placing import cluster_backend
from fairtrial.delivery.pinning import Pinned, pinned_text
from fairtrial.delivery.pipeline.reading import load
from fairtrial.delivery.service.choose import service_of
from fairtrial.delivery.service.interface import Service
from fairtrial.experiment.reading import parse
from fairtrial.planning.deployment import deployment_of
from fairtrial.planning.models import Models, silent
from fairtrial_graphs.backends.interface import Route
from fairtrial_graphs.backends.kubernetes import api as kubernetes_api
from fairtrial_graphs.backends.kubernetes.connection import connect
from fairtrial_graphs.backends.kubernetes.errors import ApiError
from fairtrial_graphs.backends.kubernetes.kinds import LEASE, Kind
from fairtrial_graphs.build import with_weights

pytestmark = pytest.mark.heavy

LISTENING = {"address": "0.0.0.0", "port": 8077, "token": "TOKEN"}
V1, V2 = (Pinned(version, f"s3://models/{version}") for version in ("1", "2"))

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("", {}, "--set-file pipeline=pipeline.yaml"),
    (pipeline(), {"experiment": ""}, "--set-file experiment=experiment.yaml"),
    ("spec: {a: [}", {}, "the pipeline is no YAML"),
    ("- a list", {}, "the pipeline is no YAML"),
    (EXPERIMENT, {}, "of kind Experiment, where Pipeline is expected"),
    ("kind: Pipeline\n", {}, "has no spec"),
    (pipeline(serve={"local": {"port": 8080}}), {}, "say spec.serve: {kubernetes: {}}"),
    (pipeline(serve=None), {}, "say spec.serve: {kubernetes: {}}"),
    (pipeline(serve={"kubernetes": {"context": "other"}}), {}, "which a pod does not have"),
    (pipeline(experiment="../wine.yaml"), {}, "a path below the pipeline's folder"),
    (pipeline(listen={"port": 8077}), {}, "the pipeline listens at 127.0.0.1"),
    (pipeline(listen=8077), {}, "spec.listen of the pipeline"),
    (pipeline(listen={**LISTENING, "port": 0}), {}, "listens at port 0"),
    (pipeline(listen={"address": "0.0.0.0", "port": 8077}), {}, "listens without a token"),
    (pipeline(listen=LISTENING), {}, "name the Secret that has it"),
    (pipeline(), {"files": {"pipeline.yaml": ""}}, "propertyName 'pipeline.yaml'"),
    (pipeline(), {"files": {"a/b": ""}}, "propertyName 'a/b'"),
    (pipeline(), {"existingFiles": {"configMap": "wine"}}, "say both"),
    (pipeline(), {"existingFiles": {"configMap": "wine", "keys": ["rows.csv"]}}, "say it once"),
    (pipeline(), {"data": {"existingClaim": "a", "volume": {"emptyDir": {}}}}, "say one of them"),
    (pipeline(), {"replicas": 2}, "replicas"),
    (pipeline(), {"scratch": {"models": "10Gi"}}, "models"),
    (pipeline(), {"terminationGracePeriodSeconds": 0}, "terminationGracePeriodSeconds"),
]


@pytest.mark.parametrize(("text", "values", "said"), REFUSED, ids=[said for *_, said in REFUSED])
def test_a_pipeline_that_cannot_be_watched_is_refused(
    helm: Helm, text: str, values: dict[str, Any], said: str
):
    with pytest.raises(ChartError) as refused:
        release(helm, "models", text, **values)
    assert said in str(refused.value)


def test_files_are_mounted_as_they_are_beside_the_pipeline(helm: Helm, tmp_path: Path):
    said = {
        "pipeline": pipeline(experiment="trials/wine.yaml"),
        "experiment": EXPERIMENT,
        r"files.rows\.csv": ROWS,
        r"files.users\.py": 'print("{{ a }}, b\\n")\n\n',
    }
    asked: list[str] = []
    for number, (name, text) in enumerate(said.items()):
        (tmp_path / str(number)).write_text(text)
        asked += ["--set-file", f"{name}={tmp_path / str(number)}"]
    objects = helm.template("pipeline", *asked)
    inside = container(objects, tmp_path / "root", {})
    found = {path: (inside.root / path.lstrip("/")).read_text() for path in inside.files()}
    places = ("pipeline.yaml", "trials/wine.yaml", "rows.csv", "users.py")
    assert found == {f"/pipeline/{place}": text for place, text in zip(places, said.values(), strict=True)}


def test_the_port_and_the_token_are_those_of_the_file(helm: Helm):
    objects = release(helm, "models", pipeline(listen=LISTENING), listenToken={"existingSecret": "wine"})
    service, pod = only(objects, "Service"), only(objects, "StatefulSet")["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert container["ports"] == [{"name": "listen", "containerPort": 8077}]
    assert service["spec"]["ports"] == [{"name": "http", "port": 8077, "targetPort": "listen"}]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    (token,) = [each for each in container["env"] if each["name"] == "TOKEN"]
    assert token["valueFrom"]["secretKeyRef"] == {"name": "wine", "key": "token"}
    (rule,) = only(objects, "NetworkPolicy")["spec"]["ingress"]
    assert rule["ports"] == [{"port": "listen", "protocol": "TCP"}]


def test_nobody_comes_in_where_nothing_listens(helm: Helm):
    objects = release(helm, "models", pipeline())
    assert not [each for each in objects if each["kind"] == "Service"]
    policy = only(objects, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress"]
    assert "ingress" not in policy
    (container,) = only(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    assert not {"ports", "startupProbe", "livenessProbe", "readinessProbe"} & container.keys()


def test_logins_are_where_packing_looks_for_them(helm: Helm):
    objects = release(helm, "models", pipeline(), registryCredentials={"existingSecret": "push"})
    pod = only(objects, "StatefulSet")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (folder,) = [each["value"] for each in container["env"] if each["name"] == "DOCKER_CONFIG"]
    (mount,) = [each for each in container["volumeMounts"] if each["mountPath"] == folder]
    (volume,) = [each for each in pod["volumes"] if each["name"] == mount["name"]]
    assert volume["secret"]["items"] == [{"key": ".dockerconfigjson", "path": "config.json"}]


def test_state_is_on_a_volume_unless_somebody_says_no(helm: Helm):
    def state(**persistence: Any) -> list[Any]:
        spec = only(release(helm, "models", pipeline(), persistence=persistence), "StatefulSet")["spec"]
        claims = spec.get("volumeClaimTemplates", [])
        volumes = [e for e in spec["template"]["spec"]["volumes"] if e["name"] == "state"]
        return [*(each["spec"]["resources"]["requests"]["storage"] for each in claims), *volumes]

    assert state() == ["10Gi"]
    claim = {"claimName": "wine"}
    assert state(existingClaim="wine") == [{"name": "state", "persistentVolumeClaim": claim}]
    assert state(enabled=False) == [{"name": "state", "emptyDir": {}}]


@pytest.fixture
def gateway(gateway_api: Client) -> Iterator[Gateway]:
    gateway = Gateway(gateway_api)
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.mark.parametrize("route", ["istio", "gateway-api"])
def test_the_watch_may_do_what_it_does_and_nothing_else(
    route: str,
    helm: Helm,
    api: Client,
    control_plane: ControlPlane,
    seldon_operator: SeldonOperator,
    gateway: Gateway,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Released in one namespace, it serves in another."""
    home = f"{namespace}-pipelines"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}})
    named = {"gateway": "istio-system/shared"} if route == "gateway-api" else {}
    where = {"namespace": namespace, "route": route, "readyTimeout": "20s", **named}
    objects = release(helm, home, text := pipeline(serve={"kubernetes": where}))
    config = account(api, control_plane, objects, tmp_path)
    # The client has read KUBECONFIG once for all when it is imported.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(config))
    done: set[Right] = set()
    monkeypatch.setattr(Recording, "done", done, raising=False)
    monkeypatch.setattr(kubernetes_api, "Api", Recording)

    (tmp_path / "pipeline.yaml").write_text(text)
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT)
    (tmp_path / "rows.csv").write_text(ROWS)
    _deliver(service_of(load(tmp_path / "pipeline.yaml"), tmp_path, silent), tmp_path / "experiment.yaml")
    assert rights(only(objects, "Role")["rules"]) == done
    _is_refused_the_rest(config, namespace, home)


def _deliver(service: Service, template: Path) -> None:
    """Two versions: the first serves at once, the second after a trial that a killed watch had begun."""
    cluster = service.cluster
    assert cluster is not None
    service.serve(V1)
    experiment = parse(
        pinned_text(template, V1, V2).encode(), source="experiment.yaml", folder=template.parent
    )
    trial = deployment_of(experiment, Models(template.parent), ["v1", "v2"])
    for weight in (10, 50):
        with cluster_backend(cluster, "pipeline-wine") as backend:
            applied(backend, with_weights(trial, {"v1": 100 - weight, "v2": weight}), Route("step"), print)
    with cluster_backend(cluster, "pipeline-wine") as backend:
        alone = deployment_of(experiment, Models(template.parent), ["v2"])
        applied(backend, with_weights(alone, {"v2": 100}), Route("promote"), print)
        released(backend)
    service.serve(V2)


def _is_refused_the_rest(config: Path, namespace: str, home: str) -> None:
    client, _ = connect(config)
    watch = Recording(client, patience=1.0)
    graphs = Kind("SeldonDeployment", "machinelearning.seldon.io/v1", "seldondeployments")
    forbidden = [
        lambda: watch.delete(graphs, namespace, "wine"),
        lambda: watch.list(graphs, home),
        lambda: watch.list(Kind("Secret", "v1", "secrets"), namespace),
        lambda: watch.list(Kind("Secret", "v1", "secrets"), home),
        lambda: watch.list(Kind("ConfigMap", "v1", "configmaps"), namespace),
        lambda: watch.patch(LEASE, namespace, "fairtrial-wine", {"spec": {"holderIdentity": "me"}}),
        lambda: watch.create(Kind("Pod", "v1", "pods"), {"metadata": {"namespace": namespace, "name": "p"}}),
    ]
    for number, call in enumerate(forbidden):
        with pytest.raises(ApiError) as refused:
            call()
        assert refused.value.code == 403, number
    client.rest_client.pool_manager.clear()


def test_a_changed_file_replaces_the_one_pod(
    helm: Helm, api: Client, namespace: str, controller_manager: None
):
    """Also a pod that never was ready: here none ever is."""

    def installed(text: str) -> str:
        for each in (objects := release(helm, namespace, text)):
            if each["kind"] in ("ServiceAccount", "ConfigMap", "StatefulSet"):
                api.apply(each, namespace=namespace, force=True)
        template = only(objects, "StatefulSet")["spec"]["template"]
        return template["metadata"]["annotations"]["checksum/files"]

    def runs(checksum: str) -> None:
        def it(pod: dict[str, Any] | None) -> bool:
            return pod is not None and pod["metadata"]["annotations"]["checksum/files"] == checksum

        api.wait("v1", "Pod", f"{NAME}-0", it, namespace=namespace, timeout=60)

    before = installed(pipeline())
    runs(before)
    assert before == installed(pipeline())
    after = installed(pipeline(challenger="contender"))
    assert before != after
    runs(after)
    assert len(api.list("v1", "Pod", namespace=namespace)) == 1
    (claim,) = api.list("v1", "PersistentVolumeClaim", namespace=namespace)
    assert claim["metadata"]["name"] == f"state-{NAME}-0"
