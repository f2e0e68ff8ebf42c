"""Load workers in a cluster: the manifests of what sends a run's load from there.

Workers are a Job of pods that come to the run's master and end with it. They need no right in the cluster,
take no connections, and write nothing but a folder of their own in memory or on the node's disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Manifest: TypeAlias = dict[str, Any]

#: The key of the Secret that holds what workers show to their master.
TOKEN_KEY = "token"
COMPONENT = "load-worker"

_LONGEST_NAME = 63 - len("-00000")  # a pod's name is its Job's and a suffix
_LONGEST_LABEL = 63
_KEPT = 3600  # seconds that a finished Job, and so its logs, stays
_SLACK = 900  # seconds, over the load's own, in which images are pulled and arms are waited for
_USER = 65532  # that of distroless images' `nonroot`


@dataclass(frozen=True)
class LoadJob:
    """`workers` pods that send the load of one run."""

    name: str  # of the run: all objects are named after it
    image: str  # with `fairtrial-loadtests` in its Python
    workers: int
    master: str  # HOST:PORT where pods reach the run's master
    longest: float  # seconds that the load takes at the most
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])  # further ones
    owner: Mapping[str, Any] | None = None  # an ownerReference: the object whose end is theirs
    resources: Mapping[str, Any] = field(
        default_factory=lambda: {
            "requests": {"cpu": "1", "memory": "256Mi", "ephemeral-storage": "64Mi"},
            "limits": {"memory": "1Gi", "ephemeral-storage": "2Gi"},
        }
    )
    pull_secrets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError("a load needs at least 1 worker")

    @property
    def job_name(self) -> str:
        return f"{self.name[: _LONGEST_NAME - len('-load')]}-load"

    @property
    def token_secret(self) -> str:
        return self.job_name

    @property
    def selector(self) -> dict[str, str]:
        """The labels by which its pods are known."""
        return {
            "app.kubernetes.io/component": COMPONENT,
            "app.kubernetes.io/instance": self.name[:_LONGEST_LABEL].rstrip("-._"),
        }

    def manifests(self, token: str) -> tuple[Manifest, ...]:
        """What is to be applied, in this order: the Secret with the token, then the Job that reads it.

        token: what workers show to the master (the environment variable FAIRTRIAL_LOAD_TOKEN). It makes the
        Secret one to be applied, and never printed or kept.
        """
        return (self.secret(token), self.job())

    def secret(self, token: str) -> Manifest:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": self.metadata(self.token_secret),
            "immutable": True,
            "type": "Opaque",
            "stringData": {TOKEN_KEY: token},
        }

    def job(self) -> Manifest:
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": self.metadata(self.job_name),
            "spec": {
                "parallelism": self.workers,
                "completions": self.workers,
                # A pod that failed is replaced, and the load goes on; one that a drained node evicts is not
                # held against the Job.
                "backoffLimit": 3 * self.workers,
                "podFailurePolicy": {
                    "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]
                },
                "activeDeadlineSeconds": int(self.longest) + _SLACK,
                "ttlSecondsAfterFinished": _KEPT,
                "template": {"metadata": {"labels": self._labels()}, "spec": self._pod()},
            },
        }

    def metadata(self, name: str) -> Manifest:
        metadata: Manifest = {"name": name, "labels": self._labels()}
        if self.namespace is not None:
            metadata["namespace"] = self.namespace
        if self.owner is not None:
            metadata["ownerReferences"] = [dict(self.owner)]
        return metadata

    def _labels(self) -> dict[str, str]:
        return {
            **self.labels,
            **self.selector,
            "app.kubernetes.io/name": "fairtrial",
            "app.kubernetes.io/managed-by": "fairtrial",
        }

    def _pod(self) -> Manifest:
        pod: Manifest = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 10,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "fsGroup": _USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            # Two workers on one node share its network, and may be one more than it can keep punctual.
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": self.selector},
                }
            ],
            "containers": [self._container()],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}}],
        }
        if self.pull_secrets:
            pod["imagePullSecrets"] = [{"name": name} for name in self.pull_secrets]
        return pod

    def _container(self) -> Manifest:
        token = {"secretKeyRef": {"name": self.token_secret, "key": TOKEN_KEY}}
        return {
            "name": COMPONENT,
            "image": self.image,
            "command": ["python", "-m", "fairtrial_loadtests.member"],
            "args": ["--master", self.master, "--name", "$(POD_NAME)"],
            "env": [
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "FAIRTRIAL_LOAD_TOKEN", "valueFrom": token},
                {"name": "TMPDIR", "value": "/tmp"},
                {"name": "HOME", "value": "/tmp"},
            ],
            "resources": dict(self.resources),
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            },
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        }


def master_service(job: LoadJob, port: int, selector: Mapping[str, str]) -> Manifest:
    """Where pods reach a master that runs in a pod of the cluster itself, the one with these labels.

    Its name is that of the Job: `LoadJob.master` is then `{job_name}.{namespace}:{port}`.
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": job.metadata(job.job_name),
        "spec": {
            # Without an address of its own: workers connect once, to that very pod.
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": dict(selector),
            "ports": [{"name": "load-master", "port": port, "targetPort": port, "protocol": "TCP"}],
        },
    }
