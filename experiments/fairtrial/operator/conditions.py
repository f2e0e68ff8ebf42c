"""Conditions, as Kubernetes' tools read them: `kubectl wait --for=condition=Complete experiment/wine`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Truth = Literal["True", "False", "Unknown"]
Conditions = Sequence[Mapping[str, Any]]


def with_condition(
    conditions: Conditions,
    kind: str,
    holds: bool | None,
    reason: str,
    message: str,
    *,
    now: float,
    generation: int,
) -> list[dict[str, Any]]:
    """The conditions with one of them set; its time of transition moves only when `holds` changes."""
    status: Truth = "Unknown" if holds is None else "True" if holds else "False"
    before = next((each for each in conditions if each["type"] == kind), None)
    since = before["lastTransitionTime"] if before and before["status"] == status else timestamp(now)
    told = {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since,
        "observedGeneration": generation,
    }
    return [*(dict(each) for each in conditions if each["type"] != kind), told]


def timestamp(seconds: float) -> str:
    """As Kubernetes writes times: whole seconds, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
