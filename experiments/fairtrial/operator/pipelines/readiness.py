"""How a pipeline stands, from what became of its spec and from its pod. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fairtrial_graphs.backends.kubernetes.readiness import pod_troubles

from fairtrial.operator.conditions import with_condition
from fairtrial.operator.pipelines.objects import CHECKSUM
from fairtrial.operator.pipelines.status import Phase

_NO_POD = "its pod is not there yet; if it takes long, kubectl describe its StatefulSet"
_LONGEST = 1000  # characters of what a container has said last


@dataclass(frozen=True)
class Outcome:
    """What became of one version of a spec."""

    accepted: bool | None  # None: it could not be brought into the cluster yet
    reason: str
    message: str = ""
    checksum: str = ""  # of the pod that it wants


@dataclass(frozen=True)
class _Pod:
    ready: bool | None
    reason: str
    message: str


def status_of(
    outcome: Outcome, pod: Mapping[str, Any] | None, before: Mapping[str, Any], *, generation: int, now: float
) -> dict[str, Any]:
    """The operator's own fields of the status; `before` is the status as it is."""
    seen = _seen(pod, outcome.checksum if outcome.accepted else None)
    phase, message = _phase(outcome, seen)
    conditions = before.get("conditions") or []
    told = [
        ("Accepted", outcome.accepted, outcome.reason, outcome.message),
        ("Ready", seen.ready, seen.reason, seen.message),
    ]
    for kind, holds, reason, why in told:
        conditions = with_condition(conditions, kind, holds, reason, why, now=now, generation=generation)
    return {
        "observedGeneration": generation,
        "phase": phase.value,
        "message": message,
        "conditions": sorted(conditions, key=lambda each: each["type"]),
    }


def _phase(outcome: Outcome, seen: _Pod) -> tuple[Phase, str]:
    if outcome.accepted is None:
        return Phase.PENDING, outcome.message
    if not outcome.accepted:
        return Phase.REFUSED, outcome.message
    if seen.ready:
        return Phase.WATCHING, "the pipeline is watched"
    return (Phase.STARTING if seen.reason == "Starting" else Phase.NOT_READY), seen.message


def _seen(pod: Mapping[str, Any] | None, checksum: str | None) -> _Pod:
    """checksum: of the pod that there is to be; None for any."""
    if pod is None:
        return _Pod(False, "Starting", _NO_POD)
    if "deletionTimestamp" in pod["metadata"]:
        return _Pod(False, "Starting", "its pod ends, and another one begins")
    annotations = pod["metadata"].get("annotations") or {}
    if checksum is not None and annotations.get(CHECKSUM) != checksum:
        return _Pod(False, "Starting", "its pod is still that of the spec before")
    conditions = (pod.get("status") or {}).get("conditions") or ()
    if any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
        return _Pod(True, "Watching", "")
    if troubles := "; ".join(_troubles(pod)):
        return _Pod(False, "NotReady", troubles)
    return _Pod(False, "Starting", "its pod starts")


def _troubles(pod: Mapping[str, Any]) -> Iterator[str]:
    """In words, and what a container that ended has said last."""
    yield from pod_troubles([pod])
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        for state in (container.get("state") or {}, container.get("lastState") or {}):
            ended = state.get("terminated") or {}
            if ended.get("exitCode") and (said := (ended.get("message") or "").strip()):
                yield f"it said last: {said[-_LONGEST:]}"
                return
