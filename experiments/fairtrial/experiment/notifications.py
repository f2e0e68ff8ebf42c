"""Who is told of a run's turns, and where its figures are kept beside its own folder."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from fairtrial.experiment.base import Part, raise_mistakes

#: A turn of a run, in the order in which they come.
EventName: TypeAlias = Literal["started", "step", "verdict", "promoted", "rolledBack", "held", "failed"]


class Secret(Part):
    """Where a value is that must not stand in this file: exactly one of the two."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["env"]}, {"required": ["file"]}]})

    env: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = Field(
        default=None, description="A variable of the environment.", examples=["SLACK_URL"]
    )
    file: str | None = Field(
        default=None,
        min_length=1,
        description="A file, a path relative to this one, with one line for each value; # begins a comment.",
        examples=["secrets/slack"],
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise_mistakes([((), "say where it is: one of env and file")])
        return self


class Addressee(Part):
    """One who is told: exactly one of `webhook`, `webhookFrom` and `apprise`."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [name]} for name in ("webhook", "webhookFrom", "apprise")],
        },
    )

    webhook: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")] | None = Field(
        default=None,
        description="A URL that JSON is posted to. What is secret belongs into webhookFrom.",
        examples=["https://hooks.example/fairtrial"],
    )
    webhook_from: Secret | None = Field(
        default=None,
        description="Where the URL is that JSON is posted to.",
        examples=[{"env": "FAIRTRIAL_WEBHOOK"}],
    )
    apprise: Secret | None = Field(
        default=None,
        description="Where the URLs of apprise are (Slack, Teams, mail and others). Needs fairtrial[notify].",
        examples=[{"env": "SLACK_URL"}],
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = {"webhook": self.webhook, "webhookFrom": self.webhook_from, "apprise": self.apprise}
        said = [name for name, value in ways.items() if value is not None]
        if not said:
            raise_mistakes([((), "say who is told: one of webhook, webhookFrom and apprise")])
        raise_mistakes(((name,), f"{said[0]} is said already; choose one of the two") for name in said[1:])
        if self.webhook is not None and "@" in urlsplit(self.webhook).netloc:
            raise_mistakes(
                [(("webhook",), "has a password in it: put the URL elsewhere, and use webhookFrom")]
            )
        return self


class Notification(Addressee):
    """One who is told of a run: exactly one of `webhook`, `webhookFrom` and `apprise`."""

    events: tuple[EventName, ...] | None = Field(
        default=None,
        min_length=1,
        description="What is told. Default: everything.",
        examples=[["verdict", "failed"]],
    )


class MlflowTracking(Part):
    """An experiment of MLflow, which gets a run for each run."""

    experiment: str = Field(
        default="fairtrial",
        min_length=1,
        max_length=256,
        description="MLflow's experiment; made if it is not there. Default: fairtrial.",
        examples=["wine-trials"],
    )
    tracking_uri: str | None = Field(
        default=None,
        min_length=1,
        description="The MLflow server. Default: MLFLOW_TRACKING_URI of the environment.",
        examples=["http://127.0.0.1:5000"],
    )


class Tracking(Part):
    """Where figures of a run are kept beside its own folder."""

    mlflow: MlflowTracking = Field(
        description="Parameters, the metrics of each look, the verdict and the report go to MLflow.",
        examples=[{"experiment": "wine-trials", "trackingUri": "http://127.0.0.1:5000"}],
    )
