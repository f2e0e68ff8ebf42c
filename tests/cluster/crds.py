"""The custom resources that the tests install, as they are published.

Seldon's stand beside a checkout and not in it: they come from the folder that FAIRTRIAL_TEST_CRDS names, or
from `shared/crds` beside one of the folders above the repository. Those of the Gateway API come with its Go
module.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal

from cluster.programs import MissingError
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).parents[2]
GATEWAY_API = Path(__file__).with_name("gateway_api")


def seldon() -> list[dict[str, Any]]:
    """Seldon Core's SeldonDeployment, and Model, Pipeline and Experiment of Core 2. Raises MissingError."""
    named = os.environ.get("FAIRTRIAL_TEST_CRDS")
    places = [Path(named)] if named else [above / "shared" / "crds" for above in REPOSITORY.parents]
    for place in places:
        if found := _definitions(place):
            return [_with_older_versions(each) for each in found]
    raise MissingError(
        f"FAIRTRIAL_TEST_CRDS={named} has no CRDs"
        if named
        else "Seldon's CRDs are not here: name their folder in FAIRTRIAL_TEST_CRDS"
    )


def gateway_api(channel: Literal["standard", "experimental"] = "standard") -> list[dict[str, Any]]:
    """The Gateway API's resources. Raises MissingError."""
    go = shutil.which("go")
    if go is None:
        raise MissingError("there is no Go to fetch the Gateway API's CRDs with: install it")
    command = [go, "mod", "download", "-json", "sigs.k8s.io/gateway-api"]
    fetched = subprocess.run(command, cwd=GATEWAY_API, capture_output=True, text=True, check=False)
    if fetched.returncode:
        raise MissingError(f"the Gateway API's CRDs cannot be fetched: {fetched.stdout}{fetched.stderr}")
    return _definitions(Path(json.loads(fetched.stdout)["Dir"]) / "config" / "crd" / channel)


def istio() -> list[dict[str, Any]]:
    """Istio's VirtualService and DestinationRule, as far as Seldon's operator writes them: any spec."""
    return [_istio("VirtualService", "virtualservices"), _istio("DestinationRule", "destinationrules")]


def _istio(kind: str, plural: str) -> dict[str, Any]:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    versions = [
        {"name": name, "served": True, "storage": name == "v1beta1", "schema": {"openAPIV3Schema": schema}}
        for name in ("v1alpha3", "v1beta1")  # the operator writes the older
    ]
    group = "networking.istio.io"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": versions,
        },
    }


def _with_older_versions(definition: dict[str, Any]) -> dict[str, Any]:
    """A release serves SeldonDeployments of the older group versions too, with the schema of v1."""
    if definition["spec"]["names"]["kind"] != "SeldonDeployment":
        return definition
    versions = {each["name"]: each for each in definition["spec"]["versions"]}
    for name in ("v1alpha2", "v1alpha3"):
        versions.setdefault(name, {**versions["v1"], "name": name, "storage": False})
    return {**definition, "spec": {**definition["spec"], "versions": list(versions.values())}}


def _definitions(folder: Path) -> list[dict[str, Any]]:
    read = YAML(typ="safe").load_all
    documents = (
        document for path in sorted(folder.glob("*.yaml")) for document in read(path.read_text("utf-8"))
    )
    return [each for each in documents if each and each.get("kind") == "CustomResourceDefinition"]
