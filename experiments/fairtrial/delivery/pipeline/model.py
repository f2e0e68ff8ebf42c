"""The pipeline: one YAML file, typed. Where every default is documented, for people and for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from pydantic import Field, PrivateAttr, model_validator

from fairtrial.delivery.pipeline.retraining import Retrain
from fairtrial.delivery.pipeline.serving import Image, Serve
from fairtrial.delivery.pipeline.triggers import RegistryTrigger, Trigger
from fairtrial.experiment.base import DnsLabel, Mistake, Part, raise_mistakes
from fairtrial.experiment.model import Metadata as _Metadata
from fairtrial.experiment.notifications import Addressee
from fairtrial.experiment.registries import Alias, ModelRegistry

KIND = "Pipeline"
#: An entry of the history.
EventName: TypeAlias = Literal[
    "adopted", "promoted", "refused", "rolledBack", "retraining", "noted", "failed"
]
_NEEDS_LISTENER = ("alert", "cloudEvent")


class Metadata(_Metadata):
    """As in Kubernetes."""

    name: DnsLabel = Field(
        default="pipeline",
        description="The pipeline's name: its folder below `deliveries`, and its SeldonDeployment's. "
        "Default: pipeline.",
        examples=["wine"],
    )


class Notification(Addressee):
    """One who is told of deliveries: exactly one of `webhook`, `webhookFrom` and `apprise`."""

    events: tuple[EventName, ...] | None = Field(
        default=None,
        min_length=1,
        description="What is told, by the history's actions. Default: everything.",
        examples=[["promoted", "rolledBack", "failed"]],
    )


class Listen(Part):
    """Where alerts, CloudEvents and the registry's webhooks are posted to."""

    address: str = Field(
        default="127.0.0.1",
        pattern=r"^[A-Za-z0-9.:_-]+$",
        description="The address that is listened at. Default: 127.0.0.1, this machine alone.",
        examples=["0.0.0.0"],
    )
    port: int = Field(
        ge=0, le=65535, strict=True, description="The port; 0 is a free one, which is said.", examples=[8077]
    )
    token: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="The variable of the environment with the bearer token that senders of alerts and "
        "CloudEvents must show. Required unless the address is this machine's own.",
        examples=["FAIRTRIAL_LISTEN_TOKEN"],
    )

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.token is None and self.address not in ("127.0.0.1", "localhost", "::1"):
            raise_mistakes([(("token",), f"required: anybody who reaches {self.address} could roll back")])
        return self


class Spec(Part):
    """Whose versions are tried, how, where the best one serves, and what else is reacted to."""

    registry: ModelRegistry = Field(
        description="The model at the registry, and the alias of the version in service.",
        examples=[{"mlflow": {"model": "wine", "alias": "champion"}}],
    )
    challenger: Alias = Field(
        default="challenger",
        description="The alias of the version that is to be tried. Default: challenger.",
        examples=["challenger"],
    )
    experiment: str = Field(
        default="experiment.yaml",
        min_length=1,
        description="The experiment that a version is put to, a path relative to this file. Its baseline and "
        "its one candidate are replaced by the two versions. Default: experiment.yaml.",
        examples=["experiment.yaml"],
    )
    serve: Serve = Field(
        default_factory=Serve,
        description="Where the version in service runs. Default: on this machine, at a free port.",
        examples=[{"local": {"port": 8080}}],
    )
    image: Image | None = Field(
        default=None,
        description="Pack each version into an image, and push it. Default: no image is made.",
        examples=[{"push": "registry.example/models/wine"}],
    )
    triggers: tuple[Trigger, ...] = Field(
        default_factory=lambda: (Trigger(name="challenger", registry=RegistryTrigger()),),
        min_length=1,
        max_length=20,
        description="What starts something. Default: the challenger's alias, asked for every 30 s.",
        examples=[[{"name": "new-version", "registry": {"every": "30s"}}]],
    )
    retrain: Retrain | None = Field(
        default=None,
        description="How `retrain` starts a retraining. Required where a trigger does so.",
        examples=[{"command": {"run": ["python", "train.py"]}}],
    )
    listen: Listen | None = Field(
        default=None,
        description="Where others report to. Required where a trigger waits for them.",
        examples=[{"port": 8077}],
    )
    notifications: tuple[Notification, ...] = Field(
        default=(),
        max_length=20,
        description="Who is told of each delivery's end. Default: nobody.",
        examples=[[{"webhook": "https://hooks.example/fairtrial"}]],
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        found: list[Mistake] = []
        if self.challenger == self.registry.chosen.alias:
            found.append((("challenger",), "that is the alias of the version in service; name another"))
        names: list[str] = []
        for i, trigger in enumerate(self.triggers):
            if trigger.name in names:
                found.append((("triggers", i, "name"), f'another trigger is called "{trigger.name}" already'))
            names.append(trigger.name)
            told = trigger.kind in _NEEDS_LISTENER or (
                trigger.registry is not None and trigger.registry.webhook is not None
            )
            if told and self.listen is None:
                found.append((("triggers", i), "is told by others: say where in spec.listen"))
            if "retrain" in (trigger.do or ()) and self.retrain is None:
                found.append((("triggers", i, "do"), "say in spec.retrain how a retraining is started"))
            if "notify" in (trigger.do or ()) and not self.notifications:
                found.append((("triggers", i, "do"), "say in spec.notifications who is told"))
        raise_mistakes(found)
        return self


class Pipeline(Part):
    """Continuous delivery of one model: from the registry, by a fair trial, into service, and back."""

    api_version: Literal["fairtrial.dev/v1alpha1"] = Field(description="The version of this format.")
    kind: Literal["Pipeline"] = Field(description="What this file is.")
    metadata: Metadata = Field(
        default_factory=Metadata, description="The pipeline's name.", examples=[{"name": "wine"}]
    )
    spec: Spec = Field(description="The pipeline.", examples=[{}])

    _folder: Path = PrivateAttr(default=Path())

    def model_post_init(self, context: Any, /) -> None:
        """Take the folder that relative paths start from out of the validation's context."""
        if isinstance(context, dict) and "folder" in context:
            self._folder = Path(context["folder"])

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def folder(self) -> Path:
        """What relative paths are relative to: the pipeline file's folder."""
        return self._folder
