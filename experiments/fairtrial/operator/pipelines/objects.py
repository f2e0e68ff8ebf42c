"""What a pipeline becomes in its namespace: the pod that watches it, and what that pod needs.

Pure. The pod is that of `charts/pipeline`; what is said of it there holds here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairtrial_graphs.backends.kubernetes.kinds import SERVICE, Kind

from fairtrial.delivery.showing import PIPELINE, RESOURCE
from fairtrial.operator.pipelines.checking import EXPERIMENT_FILE, PIPELINE_FILE, Checked
from fairtrial.operator.pipelines.rights import rules

Manifest = dict[str, Any]

STATEFUL_SET = Kind("StatefulSet", "apps/v1", "statefulsets")
CONFIG_MAP = Kind("ConfigMap", "v1", "configmaps")
SERVICE_ACCOUNT = Kind("ServiceAccount", "v1", "serviceaccounts")
ROLE = Kind("Role", "rbac.authorization.k8s.io/v1", "roles")
ROLE_BINDING = Kind("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings")
#: In the order in which they are applied: what a pod needs is there before it.
KINDS = (SERVICE_ACCOUNT, ROLE, ROLE_BINDING, CONFIG_MAP, SERVICE, STATEFUL_SET)

#: Of the pod: which files it has been given.
CHECKSUM = "fairtrial.dev/files"
_FOLDER = "/pipeline"
_USER = 8888
_RESOURCES = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}}


@dataclass(frozen=True)
class Wanted:
    """One pipeline, and what is known of it beside its spec."""

    checked: Checked
    uid: str
    image: str
    files: Mapping[str, str]  # of the ConfigMap that it names: each key, and its content's digest

    @property
    def name(self) -> str:
        """Of each of its objects."""
        return objects_name(self.checked.name)

    @property
    def checksum(self) -> str:
        """Changes with each file beside the pipeline."""
        texts = [self.checked.pipeline, self.checked.experiment, dict(self.files)]
        return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()


def objects_name(pipeline: str) -> str:
    return f"{pipeline}-pipeline"


def pod_name(pipeline: str) -> str:
    return f"{objects_name(pipeline)}-0"


def manifests(wanted: Wanted) -> dict[Kind, Manifest]:
    """One of each kind that there is to be, in the order of `KINDS`."""
    made = {CONFIG_MAP: _config_map(wanted), STATEFUL_SET: _stateful_set(wanted)}
    if wanted.checked.spec.pod.service_account is None:
        made[SERVICE_ACCOUNT] = _object(wanted, SERVICE_ACCOUNT)
        made[ROLE] = _object(wanted, ROLE, rules=rules(wanted.checked.name, wanted.checked.spec.place.route))
        made[ROLE_BINDING] = _role_binding(wanted)
    if wanted.checked.spec.listen is not None:
        made[SERVICE] = _service(wanted, wanted.checked.spec.listen.port)
    return {kind: made[kind] for kind in KINDS if kind in made}


def _object(wanted: Wanted, kind: Kind, **fields: Any) -> Manifest:
    owner = {
        "apiVersion": PIPELINE.api_version,
        "kind": PIPELINE.name,
        "name": wanted.checked.name,
        "uid": wanted.uid,
        "controller": True,
    }
    metadata = {
        "name": wanted.name,
        "namespace": wanted.checked.namespace,
        "labels": _labels(wanted),
        "ownerReferences": [owner],
    }
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **fields}


def _selector(wanted: Wanted) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "fairtrial-pipeline",
        "app.kubernetes.io/instance": wanted.checked.name,
    }


def _labels(wanted: Wanted) -> dict[str, str]:
    return {**_selector(wanted), "app.kubernetes.io/managed-by": "fairtrial-operator"}


def _config_map(wanted: Wanted) -> Manifest:
    texts = {PIPELINE_FILE: wanted.checked.pipeline, EXPERIMENT_FILE: wanted.checked.experiment}
    return _object(wanted, CONFIG_MAP, data=texts)


def _role_binding(wanted: Wanted) -> Manifest:
    role = {"apiGroup": ROLE.group, "kind": ROLE.name, "name": wanted.name}
    account = {"kind": "ServiceAccount", "name": wanted.name, "namespace": wanted.checked.namespace}
    return _object(wanted, ROLE_BINDING, roleRef=role, subjects=[account])


def _service(wanted: Wanted, port: int) -> Manifest:
    ports = [{"name": "http", "port": port, "targetPort": "listen", "protocol": "TCP"}]
    return _object(wanted, SERVICE, spec={"selector": _selector(wanted), "ports": ports})


def _stateful_set(wanted: Wanted) -> Manifest:
    """Not a Deployment: its one pod is gone before the next one starts, also when its node is lost."""
    storage = wanted.checked.spec.pod.storage
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": storage.size}},
        **({"storageClassName": storage.class_name} if storage.class_name is not None else {}),
    }
    labels = {"labels": _labels(wanted), "annotations": {CHECKSUM: wanted.checksum}}
    spec = {
        "replicas": 1,
        "serviceName": wanted.name,
        # Otherwise a pod that cannot start, for a mistake in its files, is in the way of the mended one.
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": _selector(wanted)},
        "template": {"metadata": labels, "spec": _pod(wanted)},
        # Nobody owns it: the history outlives the pipeline.
        "volumeClaimTemplates": [{"metadata": {"name": "state", "labels": _selector(wanted)}, "spec": claim}],
    }
    return _object(wanted, STATEFUL_SET, spec=spec)


def _pod(wanted: Wanted) -> Manifest:
    said = wanted.checked.spec.pod
    as_said = {
        "imagePullSecrets": list(said.image_pull_secrets),
        "nodeSelector": said.node_selector,
        "tolerations": list(said.tolerations),
        "affinity": said.affinity,
        "priorityClassName": said.priority_class_name,
    }
    return {
        "serviceAccountName": said.service_account or wanted.name,
        "enableServiceLinks": False,  # a Service's variables could be taken for options of ours
        **{name: value for name, value in as_said.items() if value},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        # A trial under way is left to the next pod; a version that is being promoted is brought to its end.
        "terminationGracePeriodSeconds": 120,
        "containers": [_container(wanted)],
        "volumes": _volumes(wanted),
    }


def _container(wanted: Wanted) -> Manifest:
    said = wanted.checked.spec.pod
    container = {
        "name": "watch",
        "image": wanted.image,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # So that `kubectl exec ... -- fairtrial history` and `undo` need not be told where things are.
        "workingDir": _FOLDER,
        "args": ["watch", f"--file={_FOLDER}/{PIPELINE_FILE}", f"--state-dir={_FOLDER}/deliveries"],
        "env": _env(wanted),
        "resources": said.resources or _RESOURCES,
        "volumeMounts": _mounts(wanted),
        # Why it ended is in its last lines, which the operator may not read as a log.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if said.env_from:
        container["envFrom"] = list(said.env_from)
    if wanted.checked.spec.listen is not None:
        container |= _listening(wanted.checked.spec.listen.port)
    return container


def _listening(port: int) -> Manifest:
    answers = {"httpGet": {"path": "/healthz", "port": "listen"}}
    patient = {"timeoutSeconds": 5}  # a trial's load takes what the processor has
    return {
        "ports": [{"name": "listen", "containerPort": port, "protocol": "TCP"}],
        "startupProbe": {**answers, "periodSeconds": 2, "failureThreshold": 60},
        "livenessProbe": {**answers, "periodSeconds": 10, **patient},
        "readinessProbe": {**answers, "periodSeconds": 5, **patient},
    }


def _env(wanted: Wanted) -> list[Manifest]:
    spec = wanted.checked.spec
    ours: list[Manifest] = [
        {"name": RESOURCE, "value": f"{wanted.checked.namespace}/{wanted.checked.name}"},
        {"name": "HOME", "value": "/tmp"},
        {"name": "FAIRTRIAL_CACHE", "value": "/tmp/models"},
        {"name": "FAIRTRIAL_CACHE_SIZE", "value": "10G"},
    ]
    if spec.pod.registry_credentials is not None:
        ours.append({"name": "DOCKER_CONFIG", "value": "/docker"})
    if spec.listen is not None and spec.listen.token is not None and spec.pod.listen_token is not None:
        key = {"name": spec.pod.listen_token.secret, "key": spec.pod.listen_token.key}
        ours.append({"name": spec.listen.token, "valueFrom": {"secretKeyRef": key}})
    # Each once, as the API server wants it: what somebody says of a pod counts.
    return [*(each for each in ours if each["name"] not in spec.pod.variables), *spec.pod.env]


def _mounts(wanted: Wanted) -> list[Manifest]:
    """Each file by itself, so that there is room for other volumes between them."""
    said = wanted.checked.spec.pod
    return [
        {"name": "folder", "mountPath": _FOLDER},
        *_files("files", (PIPELINE_FILE, EXPERIMENT_FILE)),
        *_files("given-files", sorted(wanted.files)),
        *([{"name": "data", "mountPath": f"{_FOLDER}/data", "readOnly": True}] if said.data else []),
        {"name": "state", "mountPath": f"{_FOLDER}/deliveries"},
        {"name": "scratch", "mountPath": "/tmp"},
        *(
            [{"name": "docker", "mountPath": "/docker", "readOnly": True}]
            if said.registry_credentials
            else []
        ),
    ]


def _files(volume: str, names: Sequence[str]) -> list[Manifest]:
    return [
        {"name": volume, "mountPath": f"{_FOLDER}/{name}", "subPath": name, "readOnly": True}
        for name in names
    ]


def _volumes(wanted: Wanted) -> list[Manifest]:
    said = wanted.checked.spec.pod
    volumes: list[Manifest] = [
        {"name": "folder", "emptyDir": {"sizeLimit": "1Gi"}},
        {"name": "files", "configMap": {"name": wanted.name}},
        {"name": "scratch", "emptyDir": {"sizeLimit": "20Gi"}},
    ]
    if said.files is not None:
        volumes.append({"name": "given-files", "configMap": {"name": said.files.config_map}})
    if said.data is not None:
        source = {"claimName": said.data.claim, "readOnly": True}
        volumes.append({"name": "data", "persistentVolumeClaim": source})
    if said.registry_credentials is not None:
        login = {"key": ".dockerconfigjson", "path": "config.json"}
        secret = {"secretName": said.registry_credentials.secret, "defaultMode": 0o440, "items": [login]}
        volumes.append({"name": "docker", "secret": secret})
    return volumes
