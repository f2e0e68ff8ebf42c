"""A stand-in for Seldon Core's operator 1.17.1, hazards included: it is in no package registry.

Written by what the real one does (its own names, labels and order of work):

- for each predictor a Deployment and Services, an HPA where `hpaSpec` is said; for all of them one
  VirtualService, and a DestinationRule each;
- weights move, and what is no longer in the graph is removed, only while every Deployment is ready;
- DestinationRules of removed predictors are left behind;
- ports are numbered through all predictors, so that one that moves up gets other ports, and new pods;
- an update is called Available at once, before its pods are there; `observedGeneration` is never set.

What it does not do: run anything. Whether a predictor's pods would be ready is `health`, and the status of
Deployments is set from it; `start(pods=True)` leaves that to the controller manager and to pods instead.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import httpx
from cluster.client import Client, Object, RefusedError
from cluster.watching import Key, Watched, key_of

SELDON, ISTIO = "machinelearning.seldon.io/v1", "networking.istio.io/v1alpha3"
AUTOSCALING = "autoscaling/v2"
ID, APP = "seldon-deployment-id", "seldon-app"
PORT, GRPC_PORT = 8000, 5001
_PAUSE = 0.2  # seconds


class Health(StrEnum):
    READY = "ready"
    STARTING = "starting"
    CRASHING = "crashing"  # CrashLoopBackOff
    UNPULLABLE = "unpullable"  # ImagePullBackOff


class SeldonOperator:
    """Works in all namespaces of a server, in a thread of its own, from `start` to `stop`.

    What is there when it starts is no concern of its own.
    """

    def __init__(self, client: Client, *, pods: bool = False) -> None:
        """pods: leave the status of Deployments to the controller manager."""
        self._client = client
        self._pods = pods
        self._health: dict[Key, Health] = {}
        self._due: queue.Queue[Key | None] = queue.Queue()
        self._waiting: set[Key] = set()
        self._lock = threading.Lock()
        self.failures: list[str] = []
        self._others: set[str] = set()  # what other tests have left behind: uids
        self._deployments = Watched(client, "apps/v1", "Deployment", self._of_child)
        self._graphs = Watched(client, SELDON, "SeldonDeployment", self._of_graph)
        self._thread = threading.Thread(target=self._work, name="seldon operator", daemon=True)

    def start(self) -> None:
        there, _ = self._client.listed(SELDON, "SeldonDeployment")
        self._others = {each["metadata"]["uid"] for each in there}
        self._deployments.start()
        self._graphs.start()
        self._thread.start()

    def stop(self) -> None:
        self._graphs.stop()
        self._deployments.stop()
        self._due.put(None)
        self._thread.join(10)

    def health(self, namespace: str, service: str) -> Health:
        return self._health.get((namespace, service), Health.READY)

    def set_health(self, namespace: str, service: str, health: Health) -> None:
        """Of the pods of a predictor, called `<SeldonDeployment>-<predictor>`, from now on."""
        self._health[namespace, service] = health
        for graph in self._graphs.all(namespace):
            self._of_graph(graph)

    # ---- what is to be done

    def _of_graph(self, graph: Object) -> None:
        if graph["metadata"]["uid"] not in self._others:
            self._enqueue(key_of(graph))

    def _of_child(self, child: Object) -> None:
        if name := child["metadata"].get("labels", {}).get(ID):
            self._enqueue((child["metadata"]["namespace"], name))

    def _enqueue(self, key: Key) -> None:
        with self._lock:
            if key in self._waiting:
                return
            self._waiting.add(key)
        self._due.put(key)

    def _work(self) -> None:
        while (key := self._due.get()) is not None:
            with self._lock:
                self._waiting.discard(key)
            graph = self._graphs.get(*key)
            if graph is None or graph["metadata"].get("deletionTimestamp"):
                continue
            if graph["metadata"]["uid"] in self._others:
                continue
            try:
                self._reconcile(graph)
            except RefusedError as error:
                if error.code == 409:
                    self._enqueue(key)
                elif error.code == 429 or error.code >= 500:
                    self._again(key)
                elif error.code != 404:  # deleted meanwhile: there will be an event
                    self.failures.append(f"{key}: {error}")
            except httpx.TransportError:
                self._again(key)

    def _again(self, key: Key) -> None:
        """The server is away or busy, and is not to be kept so."""
        timer = threading.Timer(_PAUSE, self._enqueue, [key])
        timer.daemon = True
        timer.start()

    # ---- one round

    def _reconcile(self, graph: Object) -> None:
        for predictor in graph["spec"]["predictors"]:
            for service in _services(graph, predictor):
                self._create_missing(service)
            self._autoscale(graph, predictor)
        ready = all([self._deploy(graph, predictor) for predictor in graph["spec"]["predictors"]])
        if ready:
            self._route(graph)
            self._remove_old(graph)
        self._tell(graph, ready)

    def _autoscale(self, graph: Object, predictor: Object) -> None:
        hpa = (predictor.get("componentSpecs") or [{}])[0].get("hpaSpec")
        if hpa is None:
            return
        name = deployment_name(graph, predictor)
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        spec = {
            "scaleTargetRef": target,
            "maxReplicas": hpa["maxReplicas"],
            "minReplicas": hpa.get("minReplicas", 1),
            "metrics": hpa.get("metricsv2", []),
        }
        self._create_missing(_child(graph, AUTOSCALING, "HorizontalPodAutoscaler", name, {"spec": spec}))

    def _deploy(self, graph: Object, predictor: Object) -> bool:
        """Whether its Deployment is what it should be, and ready."""
        wanted = _deployment(graph, predictor)
        name, namespace = wanted["metadata"]["name"], wanted["metadata"]["namespace"]
        found = self._client.get("apps/v1", "Deployment", name, namespace=namespace)
        if found is None:
            self._client.create(wanted, namespace=namespace)
            return False
        if wanted["spec"]["replicas"] is None:
            wanted["spec"]["replicas"] = found["spec"]["replicas"]
        template, live = wanted["spec"]["template"], found["spec"]["template"]
        container, runs = template["spec"]["containers"][0], live["spec"]["containers"][0]
        changed = any(runs.get(key) != value for key, value in container.items())
        changed |= live["metadata"].get("annotations", {}) != template["metadata"]["annotations"]
        if changed or found["spec"]["replicas"] != wanted["spec"]["replicas"]:
            found["metadata"]["annotations"] = template["metadata"]["annotations"]
            found["spec"] |= {"replicas": wanted["spec"]["replicas"], "template": template}
            found = self._client.replace(found)
        if not self._pods:
            found = self._set_status(found, self.health(namespace, service_name(graph, predictor)))
        status = found.get("status") or {}
        # As the real one: of the status as it is now, whatever generation it is of.
        return bool(status.get("readyReplicas")) and not status.get("unavailableReplicas")

    def _set_status(self, deployment: Object, health: Health) -> Object:
        wanted = deployment["spec"]["replicas"]
        good = wanted if health is Health.READY else 0
        status: dict[str, Any] = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": wanted,
            "updatedReplicas": wanted,
            "readyReplicas": good,
            "availableReplicas": good,
            "unavailableReplicas": wanted - good,
        }
        before = deployment.get("status") or {}
        if all(before.get(key, 0) == value for key, value in status.items()):
            return deployment
        name, namespace = deployment["metadata"]["name"], deployment["metadata"]["namespace"]
        return self._client.patch(
            "apps/v1", "Deployment", name, {"status": status}, namespace=namespace, subresource="status"
        )

    def _route(self, graph: Object) -> None:
        for predictor in graph["spec"]["predictors"]:
            host = _host(graph, predictor)
            rule = {"spec": {"host": host, "subsets": [{"name": predictor["name"], "labels": {}}]}}
            name = service_name(graph, predictor)
            self._create_missing(_child(graph, ISTIO, "DestinationRule", name, rule))
        wanted = _virtual_service(graph)
        namespace = graph["metadata"]["namespace"]
        found = self._client.get(ISTIO, "VirtualService", wanted["metadata"]["name"], namespace=namespace)
        if found is None:
            self._client.create(wanted, namespace=namespace)
        elif found["spec"] != wanted["spec"]:
            self._client.replace(found | {"spec": wanted["spec"]})

    def _remove_old(self, graph: Object) -> None:
        namespace, name = key_of(graph)
        kept = {deployment_name(graph, each) for each in graph["spec"]["predictors"]}
        for each in self._deployments.all(namespace):
            if each["metadata"].get("labels", {}).get(ID) == name and each["metadata"]["name"] not in kept:
                for kind, version in (("Deployment", "apps/v1"), ("HorizontalPodAutoscaler", AUTOSCALING)):
                    self._delete(version, kind, each["metadata"]["name"], namespace)
        services = {
            each["metadata"]["name"]
            for predictor in graph["spec"]["predictors"]
            for each in _services(graph, predictor)
        }
        for each in self._client.list("v1", "Service", namespace=namespace, labels=f"{ID}={name}"):
            if each["metadata"]["name"] not in services:
                self._delete("v1", "Service", each["metadata"]["name"], namespace)

    def _tell(self, graph: Object, ready: bool) -> None:
        state = "Available" if ready else (graph.get("status") or {}).get("state", "Creating")
        if (graph.get("status") or {}).get("state") != state:
            namespace, name = key_of(graph)
            self._client.patch(
                SELDON, "SeldonDeployment", name, {"status": {"state": state}},
                namespace=namespace, subresource="status",
            )  # fmt: skip

    def _create_missing(self, wanted: Object) -> None:
        try:
            self._client.create(wanted, namespace=wanted["metadata"]["namespace"])
        except RefusedError as error:
            if error.code != 409:
                raise

    def _delete(self, api_version: str, kind: str, name: str, namespace: str) -> None:
        try:
            self._client.delete(api_version, kind, name, namespace=namespace)
        except RefusedError as error:
            if error.code != 404:
                raise


def service_name(graph: Object, predictor: Object) -> str:
    return f"{graph['metadata']['name']}-{predictor['name']}"


def deployment_name(graph: Object, predictor: Object) -> str:
    return f"{service_name(graph, predictor)}-0-{predictor['graph']['name']}"


def weights_of(virtual_service: Object) -> dict[str, int]:
    """By predictor, as the gateway has them."""
    routes = virtual_service["spec"]["http"][0]["route"]
    return {each["destination"]["subset"]: each["weight"] for each in routes}


def _host(graph: Object, predictor: Object) -> str:
    return f"{service_name(graph, predictor)}.{graph['metadata']['namespace']}.svc.cluster.local"


def _virtual_service(graph: Object) -> Object:
    routes: list[Object] = []
    mirror: Object = {}
    for predictor in graph["spec"]["predictors"]:
        destination = {"host": _host(graph, predictor), "subset": predictor["name"], "port": {"number": PORT}}
        if predictor.get("shadow"):
            mirror = {"mirror": destination, "mirrorPercentage": {"value": predictor.get("traffic") or 100}}
        else:
            alone = len(graph["spec"]["predictors"]) == 1
            routes.append({"destination": destination, "weight": 100 if alone else predictor["traffic"]})
    namespace, name = key_of(graph)
    match = [{"uri": {"prefix": f"/seldon/{namespace}/{name}/"}}]
    http = {"match": match, "rewrite": {"uri": "/"}, "route": routes, **mirror}
    spec = {"hosts": ["*"], "gateways": ["istio-system/seldon-gateway"], "http": [http]}
    return _child(graph, ISTIO, "VirtualService", name, {"spec": spec})


def _services(graph: Object, predictor: Object) -> Iterator[Object]:
    entry = service_name(graph, predictor)
    for name in (entry, f"{entry}-{predictor['graph']['name']}"):
        ports = [{"name": "http", "port": PORT}, {"name": "grpc", "port": GRPC_PORT}]
        spec = {"selector": {APP: entry}, "ports": ports}
        yield _child(graph, "v1", "Service", name, {"spec": spec})


def _deployment(graph: Object, predictor: Object) -> Object:
    component = (predictor.get("componentSpecs") or [{}])[0]
    hpa = component.get("hpaSpec")
    replicas = component.get("replicas") or predictor.get("replicas") or graph["spec"].get("replicas") or 1
    given = ((component.get("spec") or {}).get("containers") or [{}])[0]
    node = predictor["graph"]
    container = {
        "name": node["name"],
        "image": given.get("image") or f"example.org/{node.get('implementation', 'model').lower()}:1",
        "resources": given.get("resources") or {},
        "env": [{"name": "MODEL_URI", "value": node.get("modelUri") or "none"}],
        "ports": _ports(given, graph["spec"]["predictors"].index(predictor)),
    }
    name = deployment_name(graph, predictor)
    labels = {ID: graph["metadata"]["name"], APP: service_name(graph, predictor), "app": name}
    annotations = predictor.get("annotations") or {}
    spec = {
        "replicas": None if hpa else replicas,
        "selector": {"matchLabels": labels},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
        "template": {
            "metadata": {"labels": labels, "annotations": annotations},
            "spec": {"containers": [container]},
        },
    }
    deployment = _child(graph, "apps/v1", "Deployment", name, {"spec": spec})
    deployment["metadata"]["annotations"] = annotations
    return deployment


def _ports(container: Object, number: int) -> list[Object]:
    said = {port["name"]: port["containerPort"] for port in container.get("ports") or ()}
    return [
        {"name": name, "containerPort": said.get(name, first + number), "protocol": "TCP"}
        for name, first in (("http", 9000), ("grpc", 9500), ("metrics", 6000))
    ]


def _child(graph: Object, api_version: str, kind: str, name: str, rest: Object) -> Object:
    owner = {
        "apiVersion": SELDON,
        "kind": "SeldonDeployment",
        "name": graph["metadata"]["name"],
        "uid": graph["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    metadata = {
        "name": name,
        "namespace": graph["metadata"]["namespace"],
        "labels": {ID: graph["metadata"]["name"], "app.kubernetes.io/managed-by": "seldon-core"},
        "ownerReferences": [owner],
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}
