"""The operator's ServiceAccount, as charts/fairtrial installs it."""

from __future__ import annotations

from typing import Any

from cluster.client import Client
from cluster.helm import Helm

ACCOUNT = "fairtrial-operator"


def installed(
    helm: Helm, api: Client, watched: str, *, into: str | None = None, **operator: Any
) -> list[dict[str, Any]]:
    """Install what the chart has for rights; the operator's rules in the namespace that it watches.

    into: the namespace of the operator itself; the watched one unless said.
    """
    values = {"watchNamespaces": [watched], "operator": operator, "fullnameOverride": "fairtrial"}
    for each in helm.template("fairtrial", values=values, namespace=into or watched):
        if each["kind"] in ("ServiceAccount", "Role", "RoleBinding"):
            api.apply(each, namespace=each["metadata"]["namespace"], force=True)
    role = api.get("rbac.authorization.k8s.io/v1", "Role", ACCOUNT, namespace=watched)
    assert role is not None
    return role["rules"]


def token_of(api: Client, namespace: str) -> str:
    """As the operator's pod would have it."""
    return api.token(namespace, ACCOUNT)
