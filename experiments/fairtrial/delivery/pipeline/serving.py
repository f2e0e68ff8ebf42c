"""Where the version in service runs, and the image that each version gets."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from fairtrial.experiment.base import Part, raise_mistakes
from fairtrial.experiment.quantity_types import Duration


class Local(Part):
    """On this machine, for as long as `fairtrial watch` runs."""

    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        strict=True,
        description="Where requests are taken. Default: a free port, which is said.",
        examples=[8080],
    )


class Kubernetes(Part):
    """A SeldonDeployment of a cluster. What each field is: docs/kubernetes.md."""

    namespace: str | None = Field(
        default=None, min_length=1, description="Default: the context's.", examples=["models"]
    )
    kubeconfig: str | None = Field(
        default=None, min_length=1, description="Default: as kubectl finds it, or the pod's own account."
    )
    context: str | None = Field(default=None, min_length=1, description="Of the kubeconfig.")
    route: Literal["istio", "gateway-api", "none"] = Field(
        default="istio", description="What brings requests to the arms. Default: istio."
    )
    gateway: str | None = Field(default=None, min_length=1, description="What the route calls its gateway.")
    gateway_url: str | None = Field(
        default=None,
        min_length=1,
        description="The gateway's address from here.",
        examples=["http://127.0.0.1:8081"],
    )
    service_url: str | None = Field(
        default=None,
        min_length=1,
        description="The address of a Service from here, with {service} and {namespace} in it.",
    )
    ready_timeout: Duration = Field(
        default=600.0, gt=0, description="How long arms may take to become ready. Default: 10m."
    )


class Serve(Part):
    """One of `local` and `kubernetes`."""

    local: Local | None = Field(
        default=None, description="On this machine. Default.", examples=[{"port": 8080}]
    )
    kubernetes: Kubernetes | None = Field(
        default=None, description="On a cluster with Seldon Core.", examples=[{"namespace": "models"}]
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.local is not None and self.kubernetes is not None:
            raise_mistakes([(("kubernetes",), "local is said already; choose one of the two")])
        return self


class Image(Part):
    """An OCI image for each version, with the model in it: docs/images.md."""

    push: str = Field(
        min_length=1,
        description="Registry and name; the tag is the model's version. Logins are those of docker.",
        examples=["registry.example/models/wine"],
    )
    base: str | None = Field(
        default=None,
        min_length=1,
        description="An image with Python: a layout on disk, or a reference. Default: the official slim one.",
    )
    lock: str | None = Field(
        default=None,
        min_length=1,
        description="The Python packages to install, one a line; a path relative to this file. "
        "Default: the versions that run here.",
        examples=["requirements.lock"],
    )
    artifact: bool = Field(
        default=False, description="Push the bare model, with no server around it. Default: false."
    )
    insecure: bool = Field(default=False, description="Speak plain http to the registry. Default: false.")
