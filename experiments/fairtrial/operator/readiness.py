"""Which arms have no ready pod, told from the Deployments that Seldon Core has made of them."""

from __future__ import annotations

from collections.abc import Sequence

from fairtrial_graphs.backends.kubernetes.kinds import DEPLOYMENT, POD
from fairtrial_graphs.backends.kubernetes.observer import Observer
from fairtrial_graphs.backends.kubernetes.readiness import deployments_of, pod_troubles, pods_of


def down_arms(observer: Observer, namespace: str, deployment: str, arms: Sequence[str]) -> dict[str, str]:
    """By arm, why none of its pods is ready. An arm without Deployments is left out."""
    children = observer.of_deployment(DEPLOYMENT, namespace, deployment)
    found: dict[str, str] = {}
    for arm, its in deployments_of(deployment, arms, children).items():
        for child in its:
            status = child.get("status") or {}
            if child["spec"].get("replicas", 1) and not status.get("readyReplicas"):
                pods = pods_of([child], observer.of_deployment(POD, namespace, deployment))
                called = child["metadata"]["name"]
                found[arm] = "; ".join(pod_troubles(pods)) or f"none of the pods of {called} is ready"
    return found
