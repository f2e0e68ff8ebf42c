"""The stand-in has the hazards of the real operator, which the backend must live with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cluster.client import Client, Object, RefusedError
from cluster.control_plane import ControlPlane
from cluster.faults import Faults, FaultyProxy
from cluster.seldon_operator import ISTIO, SELDON, Health, SeldonOperator, weights_of

pytestmark = pytest.mark.heavy


def graph(**weights: int) -> dict[str, Any]:
    predictors = [
        {"name": name, "traffic": weight, "replicas": 1, "graph": {"name": name, "type": "MODEL"}}
        for name, weight in weights.items()
    ]
    spec = {"protocol": "v2", "predictors": predictors}
    return {"apiVersion": SELDON, "kind": "SeldonDeployment", "metadata": {"name": "wine"}, "spec": spec}


def routed(api: Client, namespace: str, **weights: int) -> None:
    def has_them(found: Object | None) -> bool:
        return found is not None and weights_of(found) == weights

    api.wait(ISTIO, "VirtualService", "wine", has_them, namespace=namespace, timeout=10)


def test_a_ready_graph_is_routed(seldon_operator: SeldonOperator, api: Client, namespace: str):
    api.apply(graph(v1=90, v2=10), namespace=namespace)
    routed(api, namespace, v1=90, v2=10)
    names = {each["metadata"]["name"] for each in api.list("v1", "Service", namespace=namespace)}
    assert {"wine-v1", "wine-v2"} <= names


def test_weights_do_not_move_while_a_deployment_is_unready_but_removal_moves_them(
    seldon_operator: SeldonOperator, api: Client, namespace: str
):
    api.apply(graph(v1=50, v2=50), namespace=namespace)
    routed(api, namespace, v1=50, v2=50)
    seldon_operator.set_health(namespace, "wine-v2", Health.CRASHING)
    deployment = "wine-v2-0-v2"
    api.wait("apps/v1", "Deployment", deployment, _is_unready, namespace=namespace, timeout=10)
    api.apply(graph(v1=100, v2=0), namespace=namespace)
    with pytest.raises(TimeoutError):
        api.wait(ISTIO, "VirtualService", "wine", _is_all_v1, namespace=namespace, timeout=1)
    state = api.get(SELDON, "SeldonDeployment", "wine", namespace=namespace)
    assert state is not None
    assert state["status"]["state"] == "Available"
    api.apply(graph(v1=100), namespace=namespace)
    routed(api, namespace, v1=100)
    gone = api.wait("apps/v1", "Deployment", deployment, _is_gone, namespace=namespace, timeout=10)
    assert gone is None
    assert api.get(ISTIO, "DestinationRule", "wine-v2", namespace=namespace), "left behind, as the real one"


def test_a_server_that_is_busy_or_broken_delays_it_only(
    control_plane: ControlPlane, seldon: Client, istio: Client, namespace: str, tmp_path: Path
):
    proxy = FaultyProxy(control_plane, tmp_path, Faults(busy=0.1, broken=0.1))
    proxy.start()
    server = json.loads(proxy.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    client = Client(server, control_plane.authority, control_plane.token)
    operator = SeldonOperator(client)
    while True:
        try:
            operator.start()
            break
        except RefusedError:
            continue
    try:
        istio.apply(graph(v1=90, v2=10), namespace=namespace)
        istio.wait(ISTIO, "VirtualService", "wine", lambda found: found is not None,
                   namespace=namespace, timeout=30)  # fmt: skip
    finally:
        operator.stop()
        client.close()
        proxy.stop()
    assert proxy.faulted["busy"]
    assert proxy.faulted["broken"]
    assert not operator.failures


def _is_unready(deployment: Object | None) -> bool:
    return bool(deployment and deployment.get("status", {}).get("unavailableReplicas"))


def _is_all_v1(service: Object | None) -> bool:
    return bool(service and weights_of(service).get("v1") == 100)


def _is_gone(found: Object | None) -> bool:
    return found is None
