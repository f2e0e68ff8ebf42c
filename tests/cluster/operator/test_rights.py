"""The rights that docs/operator.md lists are enough."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cluster.control_plane import ControlPlane
from cluster.operator.conftest import Cluster, Start
from cluster.operator.scripted import GOOD
from ruamel.yaml import YAML

pytestmark = pytest.mark.heavy

PAGE = Path(__file__).parents[3] / "docs" / "operator.md"
RBAC = "rbac.authorization.k8s.io/v1"


def test_the_operator_needs_no_more_than_its_page_says(
    control_plane: ControlPlane, cluster: Cluster, start: Start, tmp_path: Path
):
    api, namespace = cluster.api, cluster.namespace
    rules = YAML(typ="safe").load(re.findall(r"```yaml\n(rules:.*?)```", PAGE.read_text("utf-8"), re.S)[0])
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator"}},
               namespace=namespace)  # fmt: skip
    api.create({"apiVersion": RBAC, "kind": "Role", "metadata": {"name": "operator"}, **rules},
               namespace=namespace)  # fmt: skip
    subject = {"kind": "ServiceAccount", "name": "operator", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"}
    binding = {"apiVersion": RBAC, "kind": "RoleBinding", "metadata": {"name": "operator"}}
    api.create({**binding, "subjects": [subject], "roleRef": role}, namespace=namespace)
    config = json.loads(control_plane.kubeconfig.read_text("utf-8"))
    config["users"][0]["user"] = {"token": api.token(namespace, "operator")}
    kubeconfig = tmp_path / "kubeconfig-of-operator"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(json.dumps(config), encoding="utf-8")
    start(kubeconfig=kubeconfig)
    cluster.create()
    cluster.until_step("1/2")
    cluster.annotate(pause="true")
    cluster.until_phase("Paused")
    cluster.annotate(pause=None)
    cluster.source().bring(40, GOOD)
    cluster.until_phase("Promoted")
    cluster.until_told("Deployed", "Promoted")
    cluster.annotate(retry="true")
    cluster.until(lambda status: status["run"]["attempt"] == 2 and status.get("step") == "1/2")
    cluster.delete()
    cluster.gone()
    assert cluster.split() == {"v1": 100}
