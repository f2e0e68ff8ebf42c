"""The hook that a pipeline names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fairtrial.delivery.hooks.airflow import Airflow
from fairtrial.delivery.hooks.command import Command
from fairtrial.delivery.hooks.interface import Hook
from fairtrial.delivery.hooks.kubeflow import Kubeflow
from fairtrial.delivery.hooks.webhook import WebhookHook
from fairtrial.delivery.pipeline.model import Pipeline
from fairtrial.delivery.pipeline.retraining import WebhookHook as SaidWebhook
from fairtrial.errors import UsageError
from fairtrial.experiment.notifications import Secret
from fairtrial.secret_values import value_of


def hook_of(pipeline: Pipeline, folder: Path) -> Hook | None:
    """None where the file names none. folder: the pipeline's own, for logs.

    Raises UsageError where a secret that the file names is not where it says; it is read again at each use.
    """
    retrain = pipeline.spec.retrain
    if retrain is None:
        return None
    if retrain.command is not None:
        said = retrain.command
        return Command(said.run, said.timeout, folder=pipeline.folder, logs=folder / "retraining")
    if retrain.webhook is not None:
        return WebhookHook(_url(retrain.webhook, pipeline.folder))
    if retrain.airflow is not None:
        airflow = retrain.airflow
        return Airflow(airflow.url, airflow.dag, _token(airflow.token, pipeline.folder, "airflow"))
    kubeflow = retrain.kubeflow
    assert kubeflow is not None, "the model demands one of the four"
    token = _token(kubeflow.token, pipeline.folder, "kubeflow")
    return Kubeflow(kubeflow.url, kubeflow.pipeline, kubeflow.experiment, token)


def _url(said: SaidWebhook, folder: Path) -> Callable[[], str]:
    if said.url is not None:
        url = said.url
        return lambda: url
    assert said.url_from is not None, "the model demands one of the two"
    return _reader(said.url_from, folder, "webhook.urlFrom", "URL")


def _token(secret: Secret | None, folder: Path, kind: str) -> Callable[[], str | None]:
    return (lambda: None) if secret is None else _reader(secret, folder, f"{kind}.token", "token")


def _reader(secret: Secret, folder: Path, where: str, what: str) -> Callable[[], str]:
    def read() -> str:
        try:
            return value_of(secret, folder, what=what)
        except UsageError as error:
            raise UsageError(f"spec.retrain.{where}: {error}") from error

    read()
    return read
