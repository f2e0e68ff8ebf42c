"""The operator's ServiceAccount may do each call that the operator makes, and nothing else.

The calls are made by the code that makes them in the cluster, with a token of that ServiceAccount: the
backend on a SeldonDeployment from its first step to its promotion, and what the operator does beside that.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.client import Client
from cluster.control_plane import ControlPlane
from cluster.helm import CHARTS, Helm
from cluster.recording import Recording, Right, rights
from cluster.seldon_operator import SeldonOperator
from cluster.service_accounts import installed, token_of
from fairtrial.delivery.showing import PIPELINE
from fairtrial.operator.pipelines.reconcile import bring
from fairtrial.operator.resource import Resource
from fairtrial_graphs.backends.interface import Route
from fairtrial_graphs.backends.kubernetes.api import Api
from fairtrial_graphs.backends.kubernetes.backend import KubernetesBackend
from fairtrial_graphs.backends.kubernetes.errors import ApiError, Expired
from fairtrial_graphs.backends.kubernetes.kinds import LEASE, Kind
from fairtrial_graphs.backends.kubernetes.observer import Observer
from fairtrial_graphs.backends.kubernetes.split import RouteName
from fairtrial_graphs.backends.kubernetes.standing import kinds_of
from fairtrial_graphs.build import Arm, build, with_weights

pytestmark = pytest.mark.heavy

EXPERIMENT = Kind("Experiment", "fairtrial.dev/v1alpha1", "experiments")
EVENT = Kind("Event", "v1", "events")
V1, V2 = (Arm(name, f"s3://models/{name}", "SKLEARN_SERVER") for name in ("v1", "v2"))
TRIAL: dict[str, Any] = {
    "apiVersion": EXPERIMENT.api_version,
    "kind": EXPERIMENT.name,
    "metadata": {"name": "wine"},
    "spec": {
        "baseline": {"name": "v1", "modelUri": "s3://models/v1"},
        "candidates": [{"name": "v2", "modelUri": "s3://models/v2"}],
        "metrics": [{"name": "accuracy"}],
    },
}


@contextmanager
def client(plane: ControlPlane, api: Client, namespace: str) -> Generator[Recording]:
    """Of the operator that is installed in this namespace."""
    from kubernetes.client import ApiClient, Configuration

    configuration = Configuration()
    configuration.host = plane.url
    configuration.ssl_ca_cert = str(plane.authority)
    configuration.api_key = {"authorization": f"Bearer {token_of(api, namespace)}"}
    connection = ApiClient(configuration)
    made = Recording(connection, patience=5.0)
    made.done = set()
    try:
        yield made
    finally:
        connection.rest_client.pool_manager.clear()


@pytest.fixture
def experiments(api: Client) -> None:
    api.install(yaml.safe_load(path.read_text()) for path in (CHARTS / "fairtrial/crds").glob("*.yaml"))


@pytest.fixture
def watched(
    request: pytest.FixtureRequest,
    helm: Helm,
    api: Client,
    control_plane: ControlPlane,
    seldon_operator: SeldonOperator,
    gateway_api: Client,
    experiments: None,
    namespace: str,
) -> Iterator[tuple[RouteName, Recording, Observer, set[Right]]]:
    route: RouteName = request.param
    gateway = "istio-system/shared" if route == "gateway-api" else ""
    rules = installed(helm, api, namespace, route=route, gateway=gateway)
    with client(control_plane, api, namespace) as operator:
        observer = Observer(operator, kinds_of(route), namespace)
        observer.start()
        yield route, operator, observer, rights(rules)
        observer.stop()


@pytest.mark.parametrize("watched", ["istio", "gateway-api"], indirect=True)
def test_the_operator_may_do_what_it_does_and_nothing_else(
    watched: tuple[RouteName, Recording, Observer, set[Right]], api: Client, namespace: str
):
    route, operator, observer, granted = watched
    _run_a_trial(operator, observer, namespace, route, api)
    _keep_a_resource(operator, api, namespace)
    _keep_a_pipeline(operator, api, namespace, route)
    assert granted == operator.done


def _run_a_trial(operator: Api, observer: Observer, namespace: str, route: RouteName, api: Client) -> None:
    def backend(owner: str, **options: Any) -> KubernetesBackend:
        gateway = "istio-system/shared" if route == "gateway-api" else None
        return KubernetesBackend(
            operator, observer, namespace, owner, route=route, gateway=gateway, ready_timeout=20, **options
        )

    def silent(_: str) -> None:
        if route == "gateway-api":
            _accept_routes(api, namespace)

    deployment = build("wine", (V1, V2))
    lost = backend("run-1")
    lost.apply(with_weights(deployment, {"v1": 90, "v2": 10}), Route("step-1"), silent)
    found = backend("run-2", take_over=True)
    found.apply(with_weights(deployment, {"v1": 50, "v2": 50}), Route("step-2"), silent)
    found.apply(with_weights(build("wine", (V2,)), {"v2": 100}), Route("promote"), silent)
    found.release()


def _accept_routes(api: Client, namespace: str) -> None:
    """What a gateway's controller would say."""
    for each in api.list("gateway.networking.k8s.io/v1", "HTTPRoute", namespace=namespace):
        generation = each["metadata"]["generation"]
        accepted = {
            "type": "Accepted",
            "status": "True",
            "reason": "Accepted",
            "message": "",
            "lastTransitionTime": "2026-11-28T00:00:00Z",
            "observedGeneration": generation,
        }
        parent = {
            "parentRef": each["spec"]["parentRefs"][0],
            "controllerName": "tests/gateway",
            "conditions": [accepted, {**accepted, "type": "ResolvedRefs", "reason": "ResolvedRefs"}],
        }
        api.patch(
            "gateway.networking.k8s.io/v1", "HTTPRoute", each["metadata"]["name"],
            {"status": {"parents": [parent]}}, namespace=namespace, subresource="status",
        )  # fmt: skip


def _keep_a_resource(operator: Api, api: Client, namespace: str) -> None:
    """As `fairtrial.operator` does: it watches Experiments, edits them, writes their status, tells events."""
    api.create(TRIAL, namespace=namespace)
    _watch_one(operator, api, namespace)
    assert operator.get(EXPERIMENT, namespace, "wine") is not None
    operator.patch(EXPERIMENT, namespace, "wine", {"metadata": {"finalizers": ["fairtrial.dev/trial"]}})
    operator.patch(EXPERIMENT, namespace, "wine", {"metadata": {"finalizers": None}})
    operator.patch(EXPERIMENT, namespace, "wine", {"status": {"phase": "Running"}}, "status")
    about = {
        "apiVersion": EXPERIMENT.api_version,
        "kind": EXPERIMENT.name,
        "name": "wine",
        "namespace": namespace,
    }
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "wine.1", "namespace": namespace},
        "involvedObject": about,
        "reason": "Promoted",
        "message": "all traffic goes to v2",
        "type": "Normal",
    }
    assert operator.create(EVENT, event) is not None


def _keep_a_pipeline(operator: Api, api: Client, namespace: str, route: RouteName) -> None:
    """As the operator does: it makes what a pipeline wants, and removes what it no longer wants."""
    metadata = {"name": "wine", "namespace": namespace}
    listen = {"address": "0.0.0.0", "port": 8077, "token": "TOKEN"}
    spec = {
        "registry": {"mlflow": {"model": "wine"}},
        "experiment": {
            **TRIAL["spec"],
            "traffic": {"loadTest": {"requests": {"generate": {}}}},
            "metrics": [{"name": "latency", "maxRegression": "10%"}],
        },
        "serve": {"kubernetes": {"route": route}},
        "listen": listen,
        "pod": {"listenToken": {"secret": "token"}},
    }
    made = api.create(
        {"apiVersion": PIPELINE.api_version, "kind": PIPELINE.name, "metadata": metadata, "spec": spec}
    )
    items, version = operator.list(PIPELINE, namespace)
    operator.watch(PIPELINE, namespace, version).stop()
    assert items == [made]
    outcome = bring(operator, Resource(made), "fairtrial:0.1.0")
    assert outcome.accepted, outcome.message
    change = {"spec": {"listen": None, "pod": {"listenToken": None, "serviceAccount": "default"}}}
    made = api.patch(PIPELINE.api_version, PIPELINE.name, "wine", change, namespace=namespace)
    outcome = bring(operator, Resource(made), "fairtrial:0.1.0")
    assert outcome.accepted, outcome.message
    operator.patch(PIPELINE, namespace, "wine", {"status": {"phase": "Starting"}}, "status")


def _watch_one(operator: Api, api: Client, namespace: str) -> None:
    """Of a kind that is new to it the server may at first keep no version as old as that of a list."""
    for number in range(20):
        _, version = operator.list(EXPERIMENT, namespace)
        change = {"metadata": {"annotations": {"changed": str(number)}}}
        api.patch(EXPERIMENT.api_version, EXPERIMENT.name, "wine", change, namespace=namespace)
        events = iter(operator.watch(EXPERIMENT, namespace, version))
        try:
            assert next(events)[0] == "MODIFIED"
        except Expired:
            continue
        finally:
            events.close()
        return
    pytest.fail("the server kept no version of a list")


@pytest.mark.parametrize("watched", ["istio"], indirect=True)
def test_it_leads_by_a_lease_of_its_own_namespace_alone(
    watched: tuple[RouteName, Recording, Observer, set[Right]],
    helm: Helm,
    api: Client,
    control_plane: ControlPlane,
    namespace: str,
):
    """Installed in one namespace, it watches another."""
    elsewhere = f"{namespace}-operator"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": elsewhere}})
    installed(helm, api, namespace, into=elsewhere)

    def lease(name: str) -> dict[str, Any]:
        about = {"name": name, "namespace": elsewhere}
        return {"apiVersion": LEASE.api_version, "kind": "Lease", "metadata": about, "spec": {}}

    with client(control_plane, api, elsewhere) as operator:
        assert operator.create(LEASE, lease("fairtrial-operator")) is not None
        assert operator.get(LEASE, elsewhere, "fairtrial-operator") is not None
        assert (
            operator.patch(LEASE, elsewhere, "fairtrial-operator", {"spec": {"holderIdentity": "a"}})
            is not None
        )
        api.create(lease("somebody-elses"), namespace=elsewhere)
        forbidden = [
            lambda: operator.get(LEASE, elsewhere, "somebody-elses"),
            lambda: operator.patch(LEASE, elsewhere, "somebody-elses", {"spec": {"holderIdentity": "a"}}),
            lambda: operator.delete(LEASE, elsewhere, "fairtrial-operator"),
            lambda: operator.list(EXPERIMENT, elsewhere),
            lambda: operator.list(EXPERIMENT, None),
            lambda: operator.list(Kind("Secret", "v1", "secrets"), namespace),
            lambda: operator.delete(EXPERIMENT, namespace, "wine"),
            lambda: operator.delete(
                Kind("SeldonDeployment", "machinelearning.seldon.io/v1", "seldondeployments"),
                namespace,
                "wine",
            ),
            lambda: operator.create(
                Kind("Pod", "v1", "pods"), {"metadata": {"namespace": namespace, "name": "p"}}
            ),
        ]
        for number, call in enumerate(forbidden):
            with pytest.raises(ApiError) as refused:
                call()
            assert refused.value.code == 403, number


def test_watching_all_namespaces_takes_the_same_rights_everywhere(helm: Helm):
    def rules(**values: Any) -> list[Any]:
        kind = "Role" if values else "ClusterRole"
        found = [e for e in helm.template("fairtrial", values=values) if e["kind"] == kind]
        return next(e["rules"] for e in found if e["metadata"]["name"].endswith("fairtrial-operator"))

    assert rules() == rules(watchNamespaces=["team-a"])


@pytest.mark.parametrize("route", ["istio", "gateway-api"])
def test_a_run_with_locust_has_the_rights_of_the_backend_alone(helm: Helm, route: str):
    def of(chart: str, values: dict[str, Any]) -> set[Right]:
        roles = [e for e in helm.template(chart, values=values) if e["kind"] == "Role"]
        return rights(roles[0]["rules"])

    values = {"route": route, "pipelines": {"enabled": False}}
    operator = of("fairtrial", {"watchNamespaces": ["default"], "operator": values})
    beside = {each for each in operator if each[0] == "fairtrial.dev" or each[1] == "events"}
    assert of("locust", {"experiment": "spec: {}", "run": {"route": route}}) == operator - beside


def test_the_collector_has_no_token(helm: Helm):
    objects = helm.template("fairtrial")
    accounts = {e["metadata"]["name"]: e for e in objects if e["kind"] == "ServiceAccount"}
    assert accounts["trial-fairtrial-collector"]["automountServiceAccountToken"] is False
    bound = {s["name"] for e in objects if e["kind"].endswith("Binding") for s in e["subjects"]}
    assert bound == {"trial-fairtrial-operator"}


def test_without_pipelines_the_operator_may_make_no_pods(helm: Helm):
    values = {"operator": {"pipelines": {"enabled": False}}}
    objects = helm.template("fairtrial", values=values)
    roles = [e for e in objects if e["kind"] == "ClusterRole"]
    granted = {(group, resource) for e in roles for group, resource, _ in rights(e["rules"])}
    assert not {("fairtrial.dev", "pipelines"), ("apps", "statefulsets"), ("", "configmaps")} & granted
    assert not [each for each in granted if each[0] == "rbac.authorization.k8s.io"]
    (container,) = next(
        each["spec"]["template"]["spec"]["containers"]
        for each in objects
        if each["kind"] == "Deployment" and each["metadata"]["name"].endswith("operator")
    )
    assert "--no-pipelines" in container["args"]
    assert "FAIRTRIAL_IMAGE" not in [each["name"] for each in container["env"]]


def test_the_operator_knows_its_own_image(helm: Helm):
    objects = helm.template("fairtrial", values={"image": {"registry": "registry.example", "tag": "2"}})
    (container,) = next(
        each["spec"]["template"]["spec"]["containers"]
        for each in objects
        if each["kind"] == "Deployment" and each["metadata"]["name"].endswith("operator")
    )
    told = {each["name"]: each.get("value") for each in container["env"]}
    assert told["FAIRTRIAL_IMAGE"] == container["image"] == "registry.example/fairtrial:2"


def test_the_definition_in_the_chart_is_the_generated_one():
    source = Path(__file__).parents[2] / "experiments/fairtrial/experiment/experiments.fairtrial.dev.yaml"
    if not source.exists():
        pytest.skip("the definition is not generated yet")
    assert (CHARTS / "fairtrial/crds/experiments.fairtrial.dev.yaml").read_text() == source.read_text()
