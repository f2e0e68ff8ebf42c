"""A stand-in for an implementation of the Gateway API: it takes every HTTPRoute, and says so in status."""

from __future__ import annotations

from cluster.client import Client, Object
from cluster.watching import Watched, key_of

ROUTES = "gateway.networking.k8s.io/v1"


class Gateway:
    """Works in all namespaces, from `start` to `stop`, and keeps the splits that it was given, in order."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._routes = Watched(client, ROUTES, "HTTPRoute", self._accept)
        self.splits: list[dict[str, int]] = []

    def start(self) -> None:
        self._routes.start()

    def stop(self) -> None:
        self._routes.stop()

    def _accept(self, route: Object) -> None:
        generation = route["metadata"]["generation"]
        parents = (route.get("status") or {}).get("parents") or []
        if any(each["conditions"][0]["observedGeneration"] == generation for each in parents):
            return
        refs = route["spec"]["rules"][-1]["backendRefs"]
        self.splits.append({each["name"]: each["weight"] for each in refs})
        condition = {
            "type": "Accepted",
            "status": "True",
            "reason": "Accepted",
            "message": "",
            "observedGeneration": generation,
            "lastTransitionTime": route["metadata"]["creationTimestamp"],
        }
        parent = {
            "parentRef": route["spec"]["parentRefs"][0],
            "controllerName": "example.org/stand-in",
            "conditions": [condition, {**condition, "type": "ResolvedRefs", "reason": "ResolvedRefs"}],
        }
        namespace, name = key_of(route)
        change = {"status": {"parents": [parent]}}
        self._client.patch(ROUTES, "HTTPRoute", name, change, namespace=namespace, subresource="status")
