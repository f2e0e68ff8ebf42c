"""Experiment resources of a cluster, where Fairtrial's operator runs them (docs/operator.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GROUP, VERSION, PLURAL = "fairtrial.dev", "v1alpha1", "experiments"
ABORT, RETRY = f"{GROUP}/abort", f"{GROUP}/retry"
#: Which task instance asked for a run, and the run before it: a task that is tried again finds its own.
ASKED_BY, AFTER = f"airflow.{GROUP}/task", f"airflow.{GROUP}/after"
_MANAGER = "fairtrial-airflow"
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"


@dataclass(frozen=True)
class State:
    """How an experiment stands."""

    phase: str
    message: str
    run: str | None
    verdict: Mapping[str, Any]
    ended: bool  # what its present spec asks for, that is

    def as_json(self) -> dict[str, Any]:
        return {
            "phase": self.phase,
            "message": self.message,
            "run": self.run,
            "verdict": dict(self.verdict),
            "ended": self.ended,
        }


class Cluster:
    """The experiments of one namespace. Raises kubernetes.client.ApiException for what is refused."""

    def __init__(self, namespace: str, context: str | None = None, kubeconfig: str | None = None) -> None:
        """Neither context nor kubeconfig: the rights of the worker's pod, or ~/.kube/config outside one."""
        from kubernetes import client, config

        configuration = client.Configuration()
        if context is None and kubeconfig is None:
            try:
                config.load_incluster_config(configuration)
            except config.ConfigException:
                config.load_kube_config(client_configuration=configuration)
        else:
            config.load_kube_config(kubeconfig, context, configuration)
        self._api: Any = client.CustomObjectsApi(client.ApiClient(configuration))
        self._where = {"group": GROUP, "version": VERSION, "namespace": namespace, "plural": PLURAL}

    def get(self, name: str) -> Mapping[str, Any] | None:
        """The resource; None if there is none of that name."""
        from kubernetes.client import ApiException

        try:
            return self._api.get_namespaced_custom_object(**self._where, name=name, _request_timeout=30)
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def start(self, manifest: Mapping[str, Any], asked_by: str) -> str | None:
        """Have the experiment run for this task instance: the id of an earlier run, which does not count.

        One that the same task instance has asked for is joined, and so is one of the same spec that goes on.
        """
        name = manifest["metadata"]["name"]
        before = self.get(name)
        known = (before or {}).get("metadata", {}).get("annotations") or {}
        if known.get(ASKED_BY) == asked_by:
            return known.get(AFTER) or None
        run: Mapping[str, Any] = ((before or {}).get("status") or {}).get("run") or {}
        after = run.get("id") if "ended" in run else None
        applied = self._apply(manifest, {ASKED_BY: asked_by, AFTER: after or ""})
        same = before is not None and applied["metadata"]["generation"] == before["metadata"]["generation"]
        if same and after is not None:
            self.annotate(name, RETRY)
        return after if same else run.get("id")

    def _apply(self, manifest: Mapping[str, Any], told: Mapping[str, str]) -> Mapping[str, Any]:
        """Create it, or make it so; what others have set on it is a conflict."""
        metadata = manifest["metadata"]
        annotations = {**(metadata.get("annotations") or {}), **told}
        body = {**manifest, "metadata": {**metadata, "annotations": annotations}}
        return self._patch(metadata["name"], body, _APPLY, field_manager=_MANAGER)

    def annotate(self, name: str, annotation: str, value: str = "true") -> None:
        self._patch(name, {"metadata": {"annotations": {annotation: value}}}, _MERGE)

    def _patch(self, name: str, body: dict[str, Any], kind: str, **said: Any) -> Mapping[str, Any]:
        return self._api.patch_namespaced_custom_object(
            **self._where, name=name, body=body, _content_type=kind, _request_timeout=30, **said
        )


def state_of(resource: Mapping[str, Any], after: str | None) -> State:
    """after: the id of an earlier run, whose end is not the one that is waited for."""
    status: Mapping[str, Any] = resource.get("status") or {}
    run: Mapping[str, Any] = status.get("run") or {}
    seen = status.get("observedGeneration") == resource["metadata"]["generation"]
    phase = status.get("phase", "Pending")
    fresh = run.get("id") != after
    return State(
        phase,
        status.get("message", ""),
        run.get("id"),
        status.get("verdict") or {},
        # One that was refused, or aborted before it began, has no run.
        seen and (phase == "Refused" or (fresh and "ended" in run) or (phase == "Aborted" and not run)),
    )
