"""A release of the chart `pipeline`, as far as a cluster without pods can have it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cluster.client import Client, Object
from cluster.control_plane import ControlPlane, kubeconfig
from cluster.helm import Helm

NAME = "trial-pipeline"
PIPELINE: dict[str, Any] = {
    "apiVersion": "fairtrial.dev/v1alpha1",
    "kind": "Pipeline",
    "metadata": {"name": "wine"},
    "spec": {"registry": {"mlflow": {"model": "wine", "alias": "champion"}}, "serve": {"kubernetes": {}}},
}
# Decided by a few hundred rows within seconds.
EXPERIMENT = """\
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
metadata: {name: wine}
spec:
  baseline: {name: old, modelUri: "models:/wine@champion", format: sklearn}
  candidates: [{name: new, modelUri: "models:/wine@challenger", format: sklearn}]
  strategy:
    canary: {steps: [{setWeight: 50}]}
  traffic:
    loadTest: {arrivalRate: 150/s, maxDuration: 30s, requests: {data: rows.csv, target: odd}}
  metrics:
    - {name: accuracy, minEffect: 8pp}
  analysis: {lookInterval: 500ms}
"""
ROWS = "x,odd\n" + "".join(f"{row},{row % 2}\n" for row in range(2000))


def pipeline(**spec: Any) -> str:
    """The file, with more in its spec."""
    return yaml.safe_dump(PIPELINE | {"spec": PIPELINE["spec"] | spec})


def release(helm: Helm, namespace: str, text: str, **values: Any) -> list[Object]:
    """Everything that Helm would install."""
    said = {"pipeline": text, "experiment": EXPERIMENT, "files": {"rows.csv": ROWS}, **values}
    return helm.template("pipeline", values=said, namespace=namespace)


def only(objects: list[Object], kind: str) -> Object:
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


def account(api: Client, plane: ControlPlane, objects: list[Object], folder: Path) -> Path:
    """Give the release's ServiceAccount its rights; a kubeconfig with its token."""
    for each in objects:
        if each["kind"] in ("ServiceAccount", "Role", "RoleBinding"):
            api.apply(each, namespace=each["metadata"]["namespace"], force=True)
    about = only(objects, "ServiceAccount")["metadata"]
    token = api.token(about["namespace"], about["name"])
    return kubeconfig(folder / "kubeconfig", plane.url, plane.authority, token, about["namespace"])


@dataclass(frozen=True)
class Container:
    """What the pod's container would see, below a folder of this machine in place of its root."""

    root: Path
    cwd: Path
    args: list[str]
    env: dict[str, str]
    said: Object  # as the chart has it
    grace: int  # seconds

    def files(self) -> set[str]:
        """Every file, by its path in the container."""
        return {f"/{each.relative_to(self.root)}" for each in self.root.rglob("*") if each.is_file()}


def container(objects: list[Object], root: Path, secrets: dict[str, str]) -> Container:
    """Lay out the volumes of the release's pod. secrets: by name, the value that is asked of them.

    The folder of the pipeline can be read only, unless by root.
    """
    pod = only(objects, "StatefulSet")["spec"]["template"]["spec"]
    (said,) = pod["containers"]
    files = {
        name: text for each in objects if each["kind"] == "ConfigMap" for name, text in each["data"].items()
    }
    of_files = {each["name"] for each in pod["volumes"] if "configMap" in each}
    for mount in said["volumeMounts"]:
        place = root / mount["mountPath"].lstrip("/")
        if mount["name"] in of_files:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(files[mount["subPath"]], encoding="utf-8")
            place.chmod(0o444)
        else:
            place.mkdir(parents=True, exist_ok=True)
    cwd = root / said["workingDir"].lstrip("/")
    cwd.chmod(0o555)

    def here(text: str) -> str:
        option, equals, value = text.rpartition("=")
        return f"{option}{equals}{root}{value}" if value.startswith("/") else text

    env = {
        each["name"]: here(each["value"])
        if "value" in each
        else secrets[each["valueFrom"]["secretKeyRef"]["name"]]
        for each in said["env"]
    }
    args = [here(each) for each in said["args"]]
    return Container(root, cwd, args, env, said, pod["terminationGracePeriodSeconds"])


def environment(inside: Container, config: Path) -> dict[str, str]:
    """Of a process in it: nothing of this machine's own but where programs are."""
    beside = {"PATH": os.environ["PATH"], "TMPDIR": str(inside.root / "tmp"), "KUBECONFIG": str(config)}
    return beside | inside.env


def entries(document: str) -> list[tuple[str, str | None]]:
    """Of `fairtrial history --output json`: what became of which version."""
    return [(each["action"], each["version"]) for each in json.loads(document)["entries"]]
