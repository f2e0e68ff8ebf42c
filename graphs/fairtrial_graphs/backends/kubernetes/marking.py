"""A mark on predictors that are new or changed, by which their Deployments are known again.

Seldon Core copies a predictor's annotations to its Deployments and pods. A predictor that is there already as
it is wanted is left without, or with the mark it has: a new annotation would start its pods anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from fairtrial_graphs.backends.kubernetes.drift import differences
from fairtrial_graphs.backends.kubernetes.pinning import pinned, pinned_as_it_is

MARK = "fairtrial.dev/predictor"
#: What may change without a new pod.
_LIVE = ("traffic", "replicas")

Manifest = dict[str, Any]


def marked(manifest: Manifest, found: Mapping[str, Any] | None) -> Manifest:
    """The SeldonDeployment `manifest` with marks, and with the ports of what is marked.

    found: the one in the cluster, if there is one.
    """
    known = {each["name"]: each for each in ((found or {}).get("spec") or {}).get("predictors") or ()}
    predictors = [_marked(each, known.get(each["name"])) for each in manifest["spec"]["predictors"]]
    return {**manifest, "spec": {**manifest["spec"], "predictors": predictors}}


def _marked(predictor: Manifest, found: Mapping[str, Any] | None) -> Manifest:
    lasting = {key: value for key, value in predictor.items() if key not in _LIVE}
    mark = hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()[:16]
    has = ((found or {}).get("annotations") or {}).get(MARK)
    if has is None and found is not None and not list(differences(lasting, found)):
        live = {key: predictor[key] for key in _LIVE if key in predictor}
        return {**pinned_as_it_is(found), **live}  # made by another hand, and just as it is wanted
    return {**pinned(predictor), "annotations": {**(predictor.get("annotations") or {}), MARK: mark}}
