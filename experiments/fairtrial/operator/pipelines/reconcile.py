"""Brings one pipeline into the cluster: its objects, as its spec wants them, unless something is wrong.

What is there under such a name and is not the pipeline's own is left as it is, and nothing is ever forced.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairtrial_graphs.backends.kubernetes.api import Api
from fairtrial_graphs.backends.kubernetes.errors import ApiError, Conflict
from fairtrial_graphs.backends.kubernetes.kinds import Kind

from fairtrial.delivery.showing import PIPELINE
from fairtrial.errors import UsageError
from fairtrial.operator.pipelines.checking import checked, files_of
from fairtrial.operator.pipelines.objects import (
    CONFIG_MAP,
    KINDS,
    ROLE,
    STATEFUL_SET,
    Manifest,
    Wanted,
    manifests,
    objects_name,
)
from fairtrial.operator.pipelines.readiness import Outcome
from fairtrial.operator.resource import Resource

_INVALID = (400, 422)
_FORBIDDEN = 403
_HELD = (
    "; the operator can give a pipeline no right that it does not have itself: run it with the pipeline's "
    "route, or name a ServiceAccount in spec.pod.serviceAccount"
)
_FIXED = "updates to statefulset spec"


def bring(api: Api, resource: Resource, image: str | None) -> Outcome:
    """Make its objects what the spec wants, and remove those that it no longer wants. Can be made twice.

    image: of pods whose spec names none. Raises ApiError where the API server does not answer.
    """
    namespace, _ = resource.key
    named = files_of(resource.spec)
    given = api.get(CONFIG_MAP, namespace, named) if named is not None else None
    files = _digests(given) if given is not None else {}
    try:
        wanted = _wanted(resource, image, files)
    except UsageError as error:
        if named is not None and given is None:
            return _without_files(named, f"{error}; ")
        return Outcome(False, "Mistakes", str(error))
    if named is not None and given is None:
        return _without_files(named)
    return _made(api, resource, wanted)


def _without_files(named: str, beside: str = "") -> Outcome:
    return Outcome(None, "NoFiles", f"{beside}spec.pod.files: there is no ConfigMap {named}")


def _wanted(resource: Resource, image: str | None, files: Mapping[str, str]) -> Wanted:
    with tempfile.TemporaryDirectory(prefix="fairtrial-pipeline-") as folder:
        read = checked(*resource.key, resource.spec, files, Path(folder))
    image = read.spec.pod.image or image
    if image is None:
        raise UsageError(
            "spec.pod.image: required: this operator was not told its own image (FAIRTRIAL_IMAGE)"
        )
    return Wanted(read, resource.uid, image, files)


def _made(api: Api, resource: Resource, wanted: Wanted) -> Outcome:
    namespace, _ = resource.key
    made = manifests(wanted)
    there = {kind: api.get(kind, namespace, wanted.name) for kind in KINDS}
    for kind in made:
        if (found := there[kind]) is not None and not _owns(resource, found):
            return _of_another(resource, kind, found)
    made = {kind: _of_the_same(manifest, there[kind]) for kind, manifest in made.items()}
    kind = STATEFUL_SET
    try:
        # What nobody here can judge (resources, tolerations, ...) is judged before anything is changed.
        api.apply(STATEFUL_SET, made[STATEFUL_SET], dry_run=True)
        for kind, manifest in made.items():
            api.apply(kind, manifest)
    except Conflict as error:
        why = f"{kind.name} {namespace}/{wanted.name} was changed by hand: {error}; set it back, or delete it"
        return Outcome(False, "Conflict", why)
    except ApiError as error:
        if error.code in _INVALID:
            return Outcome(False, "Invalid", _in_words(kind, error))
        if error.code == _FORBIDDEN:
            return Outcome(None, "Forbidden", f"{kind.name}: {error}{_HELD if kind == ROLE else ''}")
        raise
    for kind, found in there.items():
        if kind not in made and found is not None and _owns(resource, found):
            api.delete(kind, namespace, wanted.name)
    return Outcome(True, "Accepted", checksum=wanted.checksum)


def _in_words(kind: Kind, error: ApiError) -> str:
    if kind == STATEFUL_SET and _FIXED in str(error):
        return (
            "spec.pod.storage: the volume stays as it was made; set it back. To move to another one delete "
            "the pipeline, copy what is on it, and create the pipeline anew"
        )
    return f"the API server refuses its {kind.name}: {error}"


def _owns(resource: Resource, found: Mapping[str, Any]) -> bool:
    return any(each["uid"] == resource.uid for each in found["metadata"].get("ownerReferences") or ())


def _of_another(resource: Resource, kind: Kind, found: Mapping[str, Any]) -> Outcome:
    namespace, name = resource.key
    owners = found["metadata"].get("ownerReferences") or ()
    if any(each["kind"] == PIPELINE.name and each["name"] == name for each in owners):
        return Outcome(
            None, "Leftover", f"the {kind.name} of the pipeline {name} before this one is still there"
        )
    why = (
        f"there is a {kind.name} {namespace}/{objects_name(name)} that is not this pipeline's; it is left "
        f"as it is: remove it (`helm uninstall`, if it is of the chart), or call the pipeline otherwise"
    )
    return Outcome(False, "NameTaken", why)


def _of_the_same(manifest: Manifest, found: Mapping[str, Any] | None) -> Manifest:
    """With the id of what was looked at: another one that has come under its name meanwhile is a conflict."""
    if found is None:
        return manifest
    return {**manifest, "metadata": {**manifest["metadata"], "uid": found["metadata"]["uid"]}}


def _digests(config_map: Mapping[str, Any]) -> dict[str, str]:
    content = {**(config_map.get("data") or {}), **(config_map.get("binaryData") or {})}
    return {key: hashlib.sha256(json.dumps(value).encode()).hexdigest() for key, value in content.items()}
