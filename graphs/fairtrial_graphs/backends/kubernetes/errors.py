"""What an API server says no with, as sentences that name the next step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fairtrial_graphs.backends.kubernetes.kinds import Kind

#: What server-side apply says, with 500, of a field that is unknown or of another type.
_NOT_OF_ITS_TYPE = ("failed to create typed patch object", "failed to convert new object")

#: Of a group that there is not, and of a kind that a group does not have.
_UNKNOWN_KIND = ("could not find the requested resource", "404 page not found")


class ApiError(Exception):
    """A refusal, or no answer at all; `code` is the HTTP status, 0 where none came."""

    def __init__(self, message: str, code: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class Forbidden(ApiError):
    """RBAC: the message has the rule that is missing."""


class Conflict(ApiError):
    """Server-side apply met fields that somebody else has set; the message says which and who."""


class Expired(ApiError):
    """The version to watch from is too old: list again."""


def refusal(status: Mapping[str, Any], code: int, verb: str, kind: Kind, namespace: str | None) -> ApiError:
    """The error of a `Status` object that answered `verb` on `kind`."""
    said = str(status.get("message") or status.get("reason") or f"HTTP {code}")
    reason = str(status.get("reason") or "")
    if code == 403 and " cannot " in said:
        return Forbidden(_missing_rule(said, verb, kind, namespace), code, reason)
    if code == 401:
        return Forbidden(
            "the API server does not know who asks (401): the credentials of the kubeconfig's user are wrong "
            "or have expired",
            code,
            reason,
        )
    if code == 409 and (causes := (status.get("details") or {}).get("causes")):
        return Conflict(_who_set(causes), code, reason)
    if code == 410:
        return Expired(said, code, reason)
    if code == 500 and said.startswith(_NOT_OF_ITS_TYPE):
        code, reason = 422, "Invalid"
    if code == 404 and any(each in said for each in _UNKNOWN_KIND):
        return ApiError(
            f"the cluster does not know {kind.api_version} {kind.name}: {_installs(kind)}", code, reason
        )
    return ApiError(said, code, reason)


def _missing_rule(said: str, verb: str, kind: Kind, namespace: str | None) -> str:
    who = re.search(r'User "([^"]+)"', said)
    asked = re.search(r" cannot (\w+) ", said)  # to apply what is not there yet is to create it
    verb = asked.group(1) if asked else verb
    where = f"in namespace {namespace}" if namespace else "in all namespaces"
    rule = f'{{apiGroups: ["{kind.group}"], resources: ["{kind.plural}"], verbs: ["{verb}"]}}'
    user = who.group(1) if who else "this user"
    return f"{user} may not {verb} {kind.plural} {where}: give it a Role with the rule {rule}"


def _who_set(causes: list[Mapping[str, Any]]) -> str:
    by_manager: dict[str, list[str]] = {}
    for cause in causes:
        who = re.search(r'conflict with "([^"]+)"', str(cause.get("message")))
        by_manager.setdefault(who.group(1) if who else "somebody", []).append(
            str(cause.get("field")).lstrip(".")
        )
    return "; ".join(f"{who} has set {', '.join(fields)}" for who, fields in by_manager.items())


def _installs(kind: Kind) -> str:
    for group, what in (
        ("machinelearning.seldon.io", "Seldon Core 1.x is not installed"),
        ("fairtrial.dev", "its definition is missing; `fairtrial schema --crd` prints it"),
        ("networking.istio.io", "Istio is not installed; say another route, or none"),
        ("gateway.networking.k8s.io", "the Gateway API is not installed; say another route, or none"),
    ):
        if kind.group == group:
            return what
    return "is it a Kubernetes API server?"
