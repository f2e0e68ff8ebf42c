"""How a retraining is started; what it trains comes back as a version at the registry."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from fairtrial.experiment.base import Part, raise_mistakes
from fairtrial.experiment.notifications import Secret
from fairtrial.experiment.quantity_types import Duration

_KINDS = ("command", "webhook", "airflow", "kubeflow")

#: A base URL, without a password.
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s@]+$")]


class CommandHook(Part):
    """A program, run in the pipeline file's folder; no shell."""

    run: tuple[str, ...] = Field(
        min_length=1, description="The program and its arguments.", examples=[["python", "train.py"]]
    )
    timeout: Duration = Field(
        default=3600.0, gt=0, description="It is ended after this long. Default: 1h.", examples=["1h"]
    )


class WebhookHook(Part):
    """JSON posted to a URL, with an Idempotency-Key."""

    url: Url | None = Field(
        default=None,
        description="Where to. What is secret belongs into urlFrom.",
        examples=["https://ci.example/train"],
    )
    url_from: Secret | None = Field(
        default=None, description="Where the URL is.", examples=[{"env": "TRAIN_WEBHOOK"}]
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.url is None) == (self.url_from is None):
            raise_mistakes([((), "say where to: one of url and urlFrom")])
        return self


class AirflowHook(Part):
    """A run of a DAG, by Airflow's REST API."""

    url: Url = Field(description="Airflow's address.", examples=["http://127.0.0.1:8080"])
    dag: str = Field(min_length=1, max_length=250, description="The DAG's id.", examples=["train_wine"])
    token: Secret | None = Field(
        default=None,
        description="A bearer token. Default: none is sent.",
        examples=[{"env": "AIRFLOW_TOKEN"}],
    )


class KubeflowHook(Part):
    """A run of a pipeline, by the API of Kubeflow Pipelines."""

    url: Url = Field(description="The API's address.", examples=["http://127.0.0.1:8888"])
    pipeline: str = Field(min_length=1, description="The pipeline's name.", examples=["train-wine"])
    experiment: str | None = Field(
        default=None, min_length=1, description="Kubeflow's experiment. Default: its default one."
    )
    token: Secret | None = Field(
        default=None, description="A bearer token. Default: none is sent.", examples=[{"env": "KFP_TOKEN"}]
    )


class Retrain(Part):
    """One of `command`, `webhook`, `airflow` and `kubeflow`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [kind]} for kind in _KINDS]})

    command: CommandHook | None = Field(
        default=None, description="A program here.", examples=[{"run": ["python", "train.py"]}]
    )
    webhook: WebhookHook | None = Field(
        default=None, description="A URL.", examples=[{"urlFrom": {"env": "TRAIN_WEBHOOK"}}]
    )
    airflow: AirflowHook | None = Field(
        default=None,
        description="A DAG of Airflow.",
        examples=[{"url": "http://127.0.0.1:8080", "dag": "train_wine"}],
    )
    kubeflow: KubeflowHook | None = Field(
        default=None,
        description="A pipeline of Kubeflow.",
        examples=[{"url": "http://127.0.0.1:8888", "pipeline": "train-wine"}],
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        values = (self.command, self.webhook, self.airflow, self.kubeflow)
        said = [kind for kind, value in zip(_KINDS, values, strict=True) if value is not None]
        if not said:
            raise_mistakes([((), f"say how it is started: one of {', '.join(_KINDS)}")])
        raise_mistakes(((kind,), f"{said[0]} is said already; choose one of the two") for kind in said[1:])
        return self
