"""What an observer keeps of objects: those of hundreds of deployments are in memory at once.

A Deployment of Seldon Core takes 100 kB as Python has it, most of it the template of its pods; what is asked
of it is how many it has.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from typing import Any

from fairtrial_graphs.backends.kubernetes.kinds import DEPLOYMENT, POD, SELDON_DEPLOYMENT, SERVICE, Kind

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LONGEST = 64  # characters of strings that are likely to come again

#: What is asked of these beside their metadata: a field, and what of it; None for all.
_ASKED: Mapping[Kind, Mapping[str, Collection[str] | None]] = {
    SELDON_DEPLOYMENT: {"spec": None},
    DEPLOYMENT: {"spec": ("replicas",), "status": None},
    POD: {"status": ("conditions", "initContainerStatuses", "containerStatuses")},
    SERVICE: {},
}


def reduced(kind: Kind, item: Mapping[str, Any]) -> dict[str, Any]:
    """The object with no more than is asked of its kind; its equal strings are one with those of others."""
    asked = _ASKED.get(kind)
    fields = dict(item)
    if asked is not None:
        fields = {name: _of(item[name], asked[name]) for name in asked if name in item}
    return shared({**fields, "metadata": of_metadata(item["metadata"])})


def of_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Without which fields are whose: who has changed it, and when, is kept."""
    found = dict(metadata)
    if "managedFields" in found:
        managers: list[Mapping[str, Any]] = found["managedFields"] or []
        found["managedFields"] = [
            {name: value for name, value in each.items() if name != "fieldsV1"} for each in managers
        ]
    if _LAST_APPLIED in (found.get("annotations") or {}):
        found["annotations"] = {n: v for n, v in found["annotations"].items() if n != _LAST_APPLIED}
    return found


def shared(value: Any) -> Any:
    """The same, whose keys and short strings are in memory once, however many objects have them."""
    if isinstance(value, dict):
        return {sys.intern(name): shared(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shared(each) for each in value]
    if isinstance(value, str) and len(value) <= _LONGEST:
        return sys.intern(value)
    return value


def _of(value: Mapping[str, Any], names: Collection[str] | None) -> Mapping[str, Any]:
    return value if names is None else {name: value[name] for name in names if name in value}
