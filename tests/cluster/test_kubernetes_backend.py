"""The Kubernetes backend on a real API server, with a stand-in for Seldon's operator."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster.client import Client, Object
from cluster.control_plane import ControlPlane
from cluster.gateway import ROUTES, Gateway
from cluster.seldon_operator import AUTOSCALING, ISTIO, SELDON, Health, SeldonOperator, weights_of
from fairtrial_graphs.backends.interface import Interfered, NotReady, Route
from fairtrial_graphs.backends.kubernetes.api import Api
from fairtrial_graphs.backends.kubernetes.backend import KubernetesBackend
from fairtrial_graphs.backends.kubernetes.connection import connect
from fairtrial_graphs.backends.kubernetes.kinds import DEPLOYMENT
from fairtrial_graphs.backends.kubernetes.observer import Observer
from fairtrial_graphs.backends.kubernetes.standing import kinds_of
from fairtrial_graphs.build import Arm, Autoscaling, build, with_weights, without
from fairtrial_graphs.seldon.types import SeldonDeployment
from ruamel.yaml import YAML

pytestmark = pytest.mark.heavy

V1 = Arm("v1", "s3://models/v1", "SKLEARN_SERVER")
V2 = Arm("v2", "s3://models/v2", "SKLEARN_SERVER")


def of(*arms: Arm, **weights: int) -> SeldonDeployment:
    return with_weights(build("wine", arms), weights)


@pytest.fixture
def api_of_backend(control_plane: ControlPlane) -> Api:
    client, namespace = connect(control_plane.kubeconfig)
    assert namespace == "default"
    return Api(client, patience=5.0)


@pytest.fixture
def observer(seldon_operator: SeldonOperator, api_of_backend: Api, namespace: str) -> Iterator[Observer]:
    observer = Observer(api_of_backend, kinds_of("istio"), namespace)
    observer.start()
    yield observer
    observer.stop()


New = Callable[..., KubernetesBackend]


@pytest.fixture
def backend(observer: Observer, api_of_backend: Api, namespace: str) -> New:
    def new(owner: str = "run-1", **options: Any) -> KubernetesBackend:
        options = {"ready_timeout": 15.0, **options}
        return KubernetesBackend(api_of_backend, observer, namespace, owner, **options)

    return new


def silent(_: str) -> None:
    pass


def split(api: Client, namespace: str) -> dict[str, int]:
    found = api.get(ISTIO, "VirtualService", "wine", namespace=namespace)
    assert found is not None
    return weights_of(found)


def names(api: Client, kind: str, version: str, namespace: str) -> set[str]:
    return {each["metadata"]["name"] for each in api.list(version, kind, namespace=namespace)}


def test_what_is_applied_serves_when_apply_returns(backend: New, api: Client, namespace: str):
    told: list[str] = []
    serving = backend().apply(of(V1, V2, v1=90, v2=10), Route("step-1"), told.append)
    assert split(api, namespace) == {"v1": 90, "v2": 10}
    assert serving.arms["v2"].url == f"http://wine-v2.{namespace}.svc.cluster.local:8000"
    assert serving.arms["v2"].model == "v2"
    assert serving.url.endswith(f"/seldon/{namespace}/wine")
    assert serving.revision == "step-1"
    assert any("v1" in sentence for sentence in told)


def test_to_apply_it_again_changes_nothing(backend: New, api: Client, namespace: str):
    backend().apply(of(V1, V2, v1=50, v2=50), Route("step-1"), silent)
    before = generation(api, namespace)
    backend().apply(of(V1, V2, v1=50, v2=50), Route("step-1"), silent)
    assert generation(api, namespace) == before == 1


def generation(api: Client, namespace: str) -> int:
    """How often the deployment's spec was set."""
    found = api.get(SELDON, "SeldonDeployment", "wine", namespace=namespace)
    assert found is not None
    return found["metadata"]["generation"]


def test_a_shift_starts_no_pod_anew(backend: New, api: Client, namespace: str):
    trial = backend()
    trial.apply(of(V1, V2, v1=90, v2=10), Route("step-1"), silent)
    before = templates(api, namespace)
    trial.apply(of(V1, V2, v1=50, v2=50), Route("step-2"), silent)
    assert split(api, namespace) == {"v1": 50, "v2": 50}
    assert templates(api, namespace) == before


def templates(api: Client, namespace: str) -> list[Object]:
    return [each["spec"]["template"] for each in api.list("apps/v1", "Deployment", namespace=namespace)]


def test_a_promotion_has_capacity_at_every_moment(
    backend: New, api: Client, namespace: str, seldon_operator: SeldonOperator
):
    """The winner grows to the baseline's size beside it, gets the traffic, and only then it goes."""
    trial = backend()
    big = Arm("v1", "s3://models/v1", "SKLEARN_SERVER", replicas=3)
    trial.apply(of(big, V2, v1=50, v2=50), Route("step-1"), silent)
    winner = Arm("v2", "s3://models/v2", "SKLEARN_SERVER", replicas=3)
    seldon_operator.set_health(namespace, "wine-v2", Health.STARTING)
    done = threading.Event()

    def promote() -> None:
        trial.apply(of(winner, v2=100), Route("promote"), silent)
        done.set()

    thread = threading.Thread(target=promote)
    thread.start()
    api.wait("apps/v1", "Deployment", "wine-v2-0-v2", _asks_for(3), namespace=namespace)
    assert not done.wait(1.0)
    assert split(api, namespace)["v1"] == 50
    assert "wine-v1-0-v1" in names(api, "Deployment", "apps/v1", namespace)
    seldon_operator.set_health(namespace, "wine-v2", Health.READY)
    thread.join(15)
    assert done.is_set()
    assert split(api, namespace) == {"v2": 100}
    assert names(api, "Deployment", "apps/v1", namespace) == {"wine-v2-0-v2"}


def _asks_for(replicas: int) -> Callable[[Object | None], bool]:
    return lambda found: found is not None and found["spec"]["replicas"] == replicas


def test_the_winners_pods_are_not_started_anew_when_it_is_alone(backend: New, api: Client, namespace: str):
    """Seldon Core numbers ports through all predictors: the second has others once the first is gone."""
    trial = backend()
    trial.apply(of(V1, V2, v1=50, v2=50), Route("step-1"), silent)
    before = [
        each for each in templates(api, namespace) if each["metadata"]["labels"]["app"] == "wine-v2-0-v2"
    ]
    trial.apply(of(V2, v2=100), Route("promote"), silent)
    assert templates(api, namespace) == before


def test_a_crashing_candidate_is_removed_and_its_rule_too(
    backend: New, api: Client, namespace: str, seldon_operator: SeldonOperator
):
    trial = backend()
    both = of(V1, V2, v1=50, v2=50)
    trial.apply(both, Route("step-1"), silent)
    seldon_operator.set_health(namespace, "wine-v2", Health.CRASHING)
    api.wait("apps/v1", "Deployment", "wine-v2-0-v2", _is_unavailable, namespace=namespace)
    trial.apply(without(both, "v2"), Route("rollback"), silent)
    assert split(api, namespace) == {"v1": 100}
    assert names(api, "Deployment", "apps/v1", namespace) == {"wine-v1-0-v1"}
    assert names(api, "DestinationRule", ISTIO, namespace) == {"wine-v1"}


def _is_unavailable(found: Object | None) -> bool:
    return bool(found and found.get("status", {}).get("unavailableReplicas"))


def test_a_candidate_that_never_is_ready_is_told_and_the_split_stays(
    backend: New, api: Client, namespace: str, seldon_operator: SeldonOperator
):
    trial = backend(ready_timeout=2.0)
    trial.apply(of(V1, v1=100), Route("before"), silent)
    seldon_operator.set_health(namespace, "wine-v2", Health.CRASHING)
    with pytest.raises(NotReady, match=r"v2: 0 of 1 pods are ready"):
        trial.apply(of(V1, V2, v1=90, v2=10), Route("step-1"), silent)
    assert split(api, namespace) == {"v1": 100}
    trial.apply(of(V1, v1=100), Route("rollback"), silent)
    assert names(api, "Deployment", "apps/v1", namespace) == {"wine-v1-0-v1"}


def test_what_somebody_else_applied_is_not_touched_unless_told_to(backend: New, api: Client, namespace: str):
    theirs = build("wine", [Arm("old", "s3://models/old", "SKLEARN_SERVER")], namespace=namespace)
    api.apply(theirs.to_dict(), manager="argocd")
    with pytest.raises(Interfered, match=r"argocd has set spec\.predictors.*--take-over"):
        backend().apply(of(V1, v1=100), Route("step-1"), silent)
    stands = api.get(SELDON, "SeldonDeployment", "wine", namespace=namespace)
    assert stands is not None
    assert [each["name"] for each in stands["spec"]["predictors"]] == ["old"]
    backend(take_over=True).apply(of(V1, v1=100), Route("step-1"), silent)
    assert split(api, namespace) == {"v1": 100}


def test_an_edit_during_the_trial_is_told_with_its_author_and_kept(
    backend: New, api: Client, namespace: str, observer: Observer
):
    trial = backend()
    trial.apply(of(V1, V2, v1=90, v2=10), Route("step-1"), silent)
    assert trial.incidents() == []
    edited = with_weights(build("wine", [V1, V2], namespace=namespace), {"v1": 0, "v2": 100}).to_dict()
    seen = observer.changes
    api.apply(edited, manager="kubectl-edit", force=True)
    _await_change(observer, seen)
    with pytest.raises(Interfered, match=r"changed by kubectl-edit .*predictors\.0\.traffic"):
        _until_raised(trial, observer)
    with pytest.raises(Interfered):
        trial.apply(of(V1, V2, v1=50, v2=50), Route("step-2"), silent)
    stands = api.get(SELDON, "SeldonDeployment", "wine", namespace=namespace)
    assert stands is not None
    assert stands["spec"]["predictors"][1]["traffic"] == 100


def _await_change(observer: Observer, seen: int) -> None:
    observer.wait(seen, 10.0)


def _until_raised(trial: KubernetesBackend, observer: Observer) -> None:
    for _ in range(50):
        seen = observer.changes
        trial.incidents()
        observer.wait(seen, 0.2)


def test_a_deletion_during_the_trial_is_told(backend: New, api: Client, namespace: str, observer: Observer):
    trial = backend()
    trial.apply(of(V1, V2, v1=90, v2=10), Route("step-1"), silent)
    api.delete(SELDON, "SeldonDeployment", "wine", namespace=namespace)
    with pytest.raises(Interfered, match="was deleted"):
        _until_raised(trial, observer)


def test_of_two_runs_on_one_deployment_the_second_is_refused_until_the_first_lets_go(
    backend: New, namespace: str
):
    first, second = backend("run-1"), backend("run-2")
    first.apply(of(V1, V2, v1=90, v2=10), Route("step-1"), silent)
    with pytest.raises(Interfered, match=r"on trial in run run-1 already"):
        second.apply(of(V1, V2, v1=50, v2=50), Route("step-1"), silent)
    backend("run-1").apply(of(V1, V2, v1=90, v2=10), Route("step-1"), silent)
    first.release()
    backend("run-2").apply(of(V1, V2, v1=50, v2=50), Route("step-1"), silent)


def test_a_lost_run_is_taken_over(backend: New, namespace: str):
    backend("run-1").apply(of(V1, V2, v1=90, v2=10), Route("step-1"), silent)
    backend("run-2", take_over=True).apply(of(V1, V2, v1=50, v2=50), Route("step-1"), silent)
    with pytest.raises(Interfered, match="run-2"):
        backend("run-1").apply(of(V1, V2, v1=90, v2=10), Route("step-1"), silent)


def test_an_autoscaler_may_scale_during_a_step(backend: New, api: Client, namespace: str):
    scaled = Arm("v2", "s3://models/v2", "SKLEARN_SERVER", autoscaling=Autoscaling(max_replicas=5))
    trial = backend()
    trial.apply(of(V1, scaled, v1=90, v2=10), Route("step-1"), silent)
    assert names(api, "HorizontalPodAutoscaler", AUTOSCALING, namespace) == {"wine-v2-0-v2"}
    change = {"spec": {"replicas": 4}}
    api.patch("apps/v1", "Deployment", "wine-v2-0-v2", change, namespace=namespace)
    trial.apply(of(V1, scaled, v1=50, v2=50), Route("step-2"), silent)
    assert split(api, namespace) == {"v1": 50, "v2": 50}
    found = api.get("apps/v1", "Deployment", "wine-v2-0-v2", namespace=namespace)
    assert found is not None
    assert found["spec"]["replicas"] == 4


@pytest.fixture
def gateway(gateway_api: Client) -> Iterator[Gateway]:
    gateway = Gateway(gateway_api)
    gateway.start()
    yield gateway
    gateway.stop()


def test_with_the_gateway_api_the_route_is_ours_and_goes_with_its_deployment(
    seldon_operator: SeldonOperator, gateway: Gateway, api_of_backend: Api, api: Client, namespace: str
):
    """It moves onto what is ready, and off what is to be removed before that is."""
    observer = Observer(api_of_backend, kinds_of("gateway-api"), namespace)
    observer.start()
    trial = KubernetesBackend(
        api_of_backend, observer, namespace, "run-1", route="gateway-api", ready_timeout=15.0
    )
    both = of(V1, V2, v1=90, v2=10)
    trial.apply(both, Route("step-1"), silent)
    trial.apply(of(V1, V2, v1=50, v2=50), Route("step-2"), silent)
    trial.apply(of(V2, v2=100), Route("promote"), silent)
    observer.stop()
    assert gateway.splits == [
        {"wine-v1": 90, "wine-v2": 10},
        {"wine-v1": 50, "wine-v2": 50},
        {"wine-v2": 100},
    ]
    route = api.get(ROUTES, "HTTPRoute", "wine", namespace=namespace)
    graph = api.get(SELDON, "SeldonDeployment", "wine", namespace=namespace)
    assert route is not None
    assert graph is not None
    (owner,) = route["metadata"]["ownerReferences"]
    assert owner["uid"] == graph["metadata"]["uid"]


def test_a_missing_right_is_told_as_the_rule_that_gives_it(
    backend: New, api: Client, namespace: str, control_plane: ControlPlane, tmp_path: Path
):
    stranger = Api(_as_service_account(api, control_plane, namespace, tmp_path), patience=2.0)
    with pytest.raises(Exception, match=r'list deployments .*apiGroups: \["apps"\].*verbs: \["list"\]'):
        Observer(stranger, [DEPLOYMENT], namespace).start()


def test_the_rights_that_the_documentation_lists_are_enough(
    seldon_operator: SeldonOperator, api: Client, namespace: str, control_plane: ControlPlane, tmp_path: Path
):
    text = (Path(__file__).parents[2] / "docs" / "kubernetes.md").read_text("utf-8")
    rules = YAML(typ="safe").load(
        text.partition("```yaml\n")[2].partition("```")[0].partition("# with --route gateway")[0]
    )
    user = Api(_as_service_account(api, control_plane, namespace, tmp_path), patience=2.0)
    grant(api, namespace, rules["rules"])
    observer = Observer(user, kinds_of("istio"), namespace)
    observer.start()
    trial = KubernetesBackend(user, observer, namespace, "run-1", ready_timeout=15.0)
    both = of(V1, V2, v1=50, v2=50)
    trial.apply(both, Route("step-1"), silent)
    trial.apply(without(both, "v2"), Route("rollback"), silent)
    trial.release()
    observer.stop()
    assert names(api, "DestinationRule", ISTIO, namespace) == {"wine-v1"}


def grant(api: Client, namespace: str, rules: list[Object]) -> None:
    """To the service account `nobody`."""
    rbac = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": "trial"}, "rules": rules}
    api.create(role, namespace=namespace)
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "trial"},
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "trial"},
        "subjects": [{"kind": "ServiceAccount", "name": "nobody", "namespace": namespace}],
    }
    api.create(binding, namespace=namespace)


def _as_service_account(api: Client, plane: ControlPlane, namespace: str, folder: Path) -> Any:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody"}}
    api.create(account, namespace=namespace)
    token = api.token(namespace, "nobody")
    text = plane.kubeconfig.read_text("utf-8").replace(plane.token, token)
    path = folder / "kubeconfig"
    path.write_text(text, "utf-8")
    return connect(path)[0]


def test_a_wrong_context_is_told_with_those_that_there_are(control_plane: ControlPlane):
    with pytest.raises(NotReady, match=r"no context called prod; it has test"):
        connect(control_plane.kubeconfig, "prod")
