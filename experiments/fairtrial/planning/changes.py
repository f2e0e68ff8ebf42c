"""What applying a manifest would change of one that is there."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from fairtrial_graphs.documents import to_yaml
from fairtrial_graphs.seldon.text import ManifestError, read
from fairtrial_graphs.seldon.types import SeldonDeployment

from fairtrial.errors import UsageError

#: What an API server adds, and nobody writes.
_OF_THE_SERVER = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_IN_A_RUN = "seldondeployment.yaml"


def changes(against: Path, deployment: SeldonDeployment) -> list[str]:
    """The lines of a unified diff from the SeldonDeployment in a file, or of a run's folder, to this one.

    Fields are compared in alphabetical order, so that the order of writing is no change; none are given where
    nothing would change. Raises UsageError if there is no such manifest.
    """
    file = against / _IN_A_RUN if against.is_dir() else against
    try:
        there = read(file)
    except ManifestError as error:
        raise UsageError(str(error)) from error
    before, after = (to_yaml([_comparable(of.to_dict())]).splitlines() for of in (there, deployment))
    return list(difflib.unified_diff(before, after, str(file), "this plan", lineterm=""))


def _comparable(manifest: dict[str, Any]) -> dict[str, Any]:
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in _OF_THE_SERVER}
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != _LAST_APPLIED}
    metadata["annotations"] = annotations
    if not annotations:
        del metadata["annotations"]
    return _in_order({**{k: v for k, v in manifest.items() if k != "status"}, "metadata": metadata})


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_in_order(item) for item in value]
    return value
