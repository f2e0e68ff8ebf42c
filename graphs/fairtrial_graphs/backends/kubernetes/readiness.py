"""What a predictor waits for, told from what Seldon Core makes of it.

`status.state` of a SeldonDeployment is never asked: it says Available in the middle of an update, and
`observedGeneration` is never set. What tells is the Deployments themselves, and that they are of the
predictor as it was applied: see `marking`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairtrial_graphs.backends.kubernetes.marking import MARK

Manifest = Mapping[str, Any]


def deployments_of(
    name: str, predictors: Sequence[str], deployments: Sequence[Manifest]
) -> dict[str, list[Manifest]]:
    """Deployments by predictor, told by their names: `<name>-<predictor>-<number>-...`, or `...-svc-orch`."""
    found: dict[str, list[Manifest]] = {predictor: [] for predictor in predictors}
    # The longest first: v1-0 before v1, whose Deployments could be called v1-0-... too.
    for deployment in deployments:
        for predictor in sorted(predictors, key=len, reverse=True):
            if re.match(
                rf"{re.escape(f'{name}-{predictor}')}-(\d+-|svc-orch$)", deployment["metadata"]["name"]
            ):
                found[predictor].append(deployment)
                break
    return found


def pods_of(deployments: Sequence[Manifest], pods: Sequence[Manifest]) -> list[Manifest]:
    """Those of these Deployments, by the label that Seldon Core gives their pods."""
    apps = {each["metadata"]["name"] for each in deployments}
    return [each for each in pods if (each["metadata"].get("labels") or {}).get("app") in apps]


def waiting(predictor: Manifest, deployments: Sequence[Manifest], has_service: bool) -> str | None:
    """What this predictor still waits for, in words; None if it is ready for traffic."""
    components = predictor.get("componentSpecs") or []
    if len(deployments) < max(1, len(components)):
        return "Seldon Core has not made its Deployment yet"
    mark = (predictor.get("annotations") or {}).get(MARK)
    for deployment in deployments:
        if why := _not_settled(deployment, mark, _replicas(predictor)):
            return why
    return None if has_service else "Seldon Core has not made its Service yet"


def has_failed(deployments: Sequence[Manifest]) -> bool:
    """Whether Kubernetes has given up on one of them: its progress deadline is over."""
    return any(
        condition["type"] == "Progressing" and condition["status"] == "False"
        for deployment in deployments
        for condition in (deployment.get("status") or {}).get("conditions") or ()
    )


def _not_settled(deployment: Manifest, mark: str | None, replicas: int | None) -> str | None:
    metadata, spec, status = deployment["metadata"], deployment["spec"], deployment.get("status") or {}
    if mark is not None and (metadata.get("annotations") or {}).get(MARK) != mark:
        return "Seldon Core has not updated its Deployment yet"
    wanted = spec.get("replicas", 1)
    if replicas is not None and wanted != replicas:
        return f"Seldon Core has not scaled it from {wanted} to {replicas} yet"
    if status.get("observedGeneration", 0) < metadata["generation"]:
        return "its Deployment has just changed"
    updated, ready = status.get("updatedReplicas", 0), status.get("readyReplicas", 0)
    if updated < wanted or status.get("replicas", 0) > updated:
        return f"{updated} of {wanted} pods are of the new version, and {ready} are ready"
    if ready < wanted or status.get("unavailableReplicas"):
        return f"{ready} of {wanted} pods are ready"
    return None if wanted else "it has no replicas"


def _replicas(predictor: Manifest) -> int | None:
    """How many it must have; None where an autoscaler, or somebody's scaling, may say."""
    components = predictor.get("componentSpecs") or []
    if any("hpaSpec" in component or "kedaSpec" in component for component in components):
        return None
    said = [component["replicas"] for component in components if component.get("replicas") is not None]
    if len(components) == 1 and said:
        return said[0]
    return predictor.get("replicas") if not said else None


def pod_troubles(pods: Sequence[Manifest]) -> Iterator[str]:
    """Why pods are not ready, one sentence for each reason that their status gives."""
    told: set[str] = set()
    for pod in pods:
        for sentence in _of_pod(pod):
            if sentence not in told:
                told.add(sentence)
                yield sentence


def _of_pod(pod: Manifest) -> Iterator[str]:
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield f"a pod cannot be scheduled: {condition.get('message') or condition.get('reason')}"
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = container.get("state") or {}
        ended = (container.get("lastState") or {}).get("terminated") or state.get("terminated")
        waits = state.get("waiting") or {}
        if waits.get("reason") in (None, "ContainerCreating", "PodInitializing") and not (
            ended and ended["exitCode"]
        ):
            continue
        how = f"container {container['name']}"
        if waits.get("reason"):
            how += f" is in {waits['reason']}"
        if ended and ended.get("exitCode"):
            how += f" (it ended with {ended.get('reason', 'an error')}, exit code {ended['exitCode']})"
        if waits.get("message") and not ended:
            how += f": {waits['message']}"
        yield how


def restarts(pods: Sequence[Manifest]) -> dict[tuple[str, str], tuple[int, str]]:
    """By pod and container: how often it was restarted, and why it ended the last time, in words."""
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for pod in pods:
        for container in (pod.get("status") or {}).get("containerStatuses") or ():
            ended = (container.get("lastState") or {}).get("terminated") or {}
            why = f"{ended.get('reason', 'it ended')}, exit code {ended.get('exitCode', 'unknown')}"
            found[pod["metadata"]["name"], container["name"]] = int(container.get("restartCount", 0)), why
    return found
