"""What `fairtrial watch` may do: as `charts/pipeline` has it, and write the status of its own resource."""

from __future__ import annotations

from typing import Any, Literal

Rule = dict[str, Any]


def rules(name: str, route: Literal["istio", "gateway-api", "none"]) -> list[Rule]:
    """Of the Role of the pipeline of this name."""
    common = [
        _rule(
            "machinelearning.seldon.io", ["seldondeployments"], ["get", "list", "watch", "create", "patch"]
        ),
        _rule("apps", ["deployments"], ["list", "watch"]),
        _rule("", ["services", "pods"], ["list", "watch"]),
        # One at a time on a SeldonDeployment: a lease beside it.
        _rule("coordination.k8s.io", ["leases"], ["get", "create", "delete"]),
    ]
    # What serves, and since when.
    own = {**_rule("fairtrial.dev", ["pipelines/status"], ["patch"]), "resourceNames": [name]}
    return [*common, *_of_route(route), own]


def _of_route(route: Literal["istio", "gateway-api", "none"]) -> list[Rule]:
    if route == "istio":  # the split is Seldon's; the rules that it leaves behind are removed
        return [
            _rule("networking.istio.io", ["virtualservices"], ["list", "watch"]),
            _rule("networking.istio.io", ["destinationrules"], ["list", "delete"]),
        ]
    if route == "gateway-api":
        verbs = ["list", "watch", "create", "patch"]
        return [_rule("gateway.networking.k8s.io", ["httproutes"], verbs)]
    return []


def _rule(group: str, resources: list[str], verbs: list[str]) -> Rule:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}
