"""The spec of a Pipeline resource: that of a pipeline file, with the experiment in it, and about its pod."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from fairtrial.delivery.pipeline.model import Listen, Spec
from fairtrial.delivery.pipeline.serving import Kubernetes, Serve
from fairtrial.delivery.showing import RESOURCE
from fairtrial.experiment.base import Mistake, Part, raise_mistakes
from fairtrial.experiment.model import Spec as ExperimentSpec

#: With what its objects are called by, and what Kubernetes adds to a StatefulSet's name, 63 is the end.
_LONGEST_NAME = 43
_LOCAL = ("127.0.0.1", "localhost", "::1")

_ClassName = Annotated[str, StringConstraints(pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", max_length=253)]
_ObjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]


class Metadata(Part, extra="ignore"):
    """As in Kubernetes, as far as it matters here."""

    name: Annotated[
        str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=_LONGEST_NAME)
    ] = Field(description="The pipeline's name, and its SeldonDeployment's.", examples=["wine"])


class Files(Part):
    """Small files beside the pipeline, which the experiment names."""

    config_map: _ObjectName = Field(
        description="A ConfigMap of the same namespace; each of its keys is a file.", examples=["holdout"]
    )


class Data(Part):
    """A volume at data/ beside the pipeline, read only."""

    claim: _ObjectName = Field(description="A PersistentVolumeClaim.", examples=["rows"])


class Storage(Part):
    """The volume of the history. It outlives the pipeline, and stays as it was made."""

    size: Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")] = Field(
        default="10Gi", description="Its size. Default: 10Gi.", examples=["10Gi"]
    )
    class_name: _ClassName | None = Field(
        default=None,
        description="Its StorageClass: of a block device, not of NFS. Empty for a volume that was made by "
        "hand. Default: the cluster's.",
        examples=["fast"],
    )


class SecretKey(Part):
    """One key of a Secret of the same namespace."""

    secret: _ObjectName = Field(description="The Secret.", examples=["wine-listener"])
    key: str = Field(default="token", min_length=1, description="The key. Default: token.")


class SecretName(Part):
    """A Secret of the same namespace."""

    secret: _ObjectName = Field(description="The Secret.", examples=["push"])


class Pod(Part):
    """What only a cluster knows of the process that watches the pipeline."""

    image: str | None = Field(
        default=None,
        pattern=r"^[^\s]+$",
        description="The image that has `fairtrial`. Default: the operator's own.",
        examples=["registry.example/fairtrial:0.1.0"],
    )
    service_account: _ObjectName | None = Field(
        default=None,
        description="The ServiceAccount. Default: one is made that may do what a watch does.",
        examples=["wine"],
    )
    storage: Storage = Field(
        default_factory=Storage,
        description="The volume of the history; it cannot be changed later.",
        examples=[{"size": "10Gi"}],
    )
    files: Files | None = Field(
        default=None,
        description="Small files beside the pipeline, such as rows. Default: none.",
        examples=[{"configMap": "holdout"}],
    )
    data: Data | None = Field(
        default=None,
        description="A volume at data/ beside the pipeline. Default: none.",
        examples=[{"claim": "rows"}],
    )
    listen_token: SecretKey | None = Field(
        default=None,
        description="The value of the variable that spec.listen.token names. Default: env or envFrom has it.",
        examples=[{"secret": "wine-listener"}],
    )
    registry_credentials: SecretName | None = Field(
        default=None,
        description="Logins of image registries, where images are pushed: of the type "
        "kubernetes.io/dockerconfigjson. Default: none.",
        examples=[{"secret": "push"}],
    )
    env: tuple[dict[str, Any], ...] = Field(
        default=(),
        description="Variables, as in a container. Default: none.",
        examples=[[{"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow:5000"}]],
    )
    env_from: tuple[dict[str, Any], ...] = Field(
        default=(),
        description="Whole Secrets and ConfigMaps as variables, as in a container. Default: none.",
        examples=[[{"secretRef": {"name": "fairtrial-notifications"}}]],
    )
    resources: dict[str, Any] | None = Field(
        default=None,
        description="As in a container; the load of trials is sent from it. "
        "Default: requests of half a CPU and 1Gi, a limit of 4Gi.",
        examples=[{"requests": {"cpu": "500m", "memory": "1Gi"}}],
    )
    image_pull_secrets: tuple[dict[str, Any], ...] = Field(
        default=(), description="As in a pod. Default: none.", examples=[[{"name": "pull"}]]
    )
    node_selector: dict[str, Any] | None = Field(
        default=None, description="As in a pod. Default: any node.", examples=[{"kubernetes.io/os": "linux"}]
    )
    tolerations: tuple[dict[str, Any], ...] = Field(
        default=(), description="As in a pod. Default: none.", examples=[[{"operator": "Exists"}]]
    )
    affinity: dict[str, Any] | None = Field(
        default=None, description="As in a pod. Default: none.", examples=[{"nodeAffinity": {}}]
    )
    priority_class_name: _ObjectName | None = Field(
        default=None, description="As in a pod. Default: none.", examples=["important"]
    )

    @field_validator("env")
    @classmethod
    def _named_once(cls, env: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        found: list[Mistake] = []
        names: list[str] = []
        for i, each in enumerate(env):
            name = each.get("name")
            if not isinstance(name, str) or not name:
                found.append(((i,), "required: the variable's name"))
            elif name == RESOURCE:
                found.append(((i,), f"the operator sets {name} itself; leave this one out"))
            elif name in names:
                found.append(((i,), f"another variable is called {name} already"))
            else:
                names.append(name)
        raise_mistakes(found)
        return env

    @property
    def variables(self) -> list[str]:
        """The names in `env`."""
        return [each["name"] for each in self.env]


class ResourceSpec(Spec):
    """Whose versions are tried, how, where the best one serves, what else is reacted to, and its pod."""

    experiment: ExperimentSpec = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        description="The experiment that a version is put to: the spec of an Experiment. Its baseline and "
        "its one candidate are replaced by the two versions.",
        examples=[{"metrics": [{"name": "accuracy"}]}],
    )
    serve: Serve = Field(
        default_factory=lambda: Serve(kubernetes=Kubernetes()),
        description="Where the version in service runs: in the pipeline's namespace. Default: behind Istio.",
        examples=[{"kubernetes": {"route": "istio"}}],
    )
    pod: Pod = Field(
        default_factory=Pod,
        description="What only a cluster knows of the process that watches the pipeline.",
        examples=[{"env": [{"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow:5000"}]}],
    )

    @property
    def place(self) -> Kubernetes:
        """How it serves."""
        assert self.serve.kubernetes is not None, "demanded by `_inside`"
        return self.serve.kubernetes

    @model_validator(mode="after")
    def _inside(self) -> Self:
        raise_mistakes([*self._of_place(), *self._of_listening()])
        return self

    def _of_place(self) -> list[Mistake]:
        said = self.serve.kubernetes
        if said is None:
            why = "in a pod nobody would reach what serves there: say {kubernetes: {}}, or leave this out"
            return [(("serve",), why)]
        return [
            (("serve", "kubernetes", field), "a pod has no kubeconfig; its ServiceAccount is used: remove it")
            for field in ("kubeconfig", "context")
            if getattr(said, field) is not None
        ]

    def _of_listening(self) -> list[Mistake]:
        if self.listen is None:
            nobody = "nothing listens; say where in spec.listen, or remove this"
            return [(("pod", "listenToken"), nobody)] if self.pod.listen_token is not None else []
        return list(_of_listener(self.listen, self.pod))


def _of_listener(listen: Listen, pod: Pod) -> list[Mistake]:
    found: list[Mistake] = []
    if listen.address in _LOCAL:
        why = f"{listen.address} is reached from nowhere outside the pod; say 0.0.0.0, and name its token"
        found.append((("listen", "address"), why))
    if listen.port < 1024:
        found.append(
            (("listen", "port"), "say one from 1024 on, which a Service can name and the pod may open")
        )
    if listen.token is not None and not (
        pod.listen_token is not None or pod.env_from or listen.token in pod.variables
    ):
        found.append(
            (("listen", "token"), f"nothing sets {listen.token}; name its Secret in spec.pod.listenToken")
        )
    if listen.token is not None and pod.listen_token is not None and listen.token in pod.variables:
        found.append((("pod", "listenToken"), f"{listen.token} is in spec.pod.env already; say it once"))
    return found


class Resource(Part):
    """A Pipeline resource: continuous delivery of one model, by a pod of the cluster."""

    api_version: Literal["fairtrial.dev/v1alpha1"] = Field(description="The version of this format.")
    kind: Literal["Pipeline"] = Field(description="What this is.")
    metadata: Metadata = Field(description="The pipeline's name.", examples=[{"name": "wine"}])
    spec: ResourceSpec = Field(description="The pipeline.", examples=[{}])
