"""MLflow's model registry: a tracking server, a local store, Databricks or Azure ML, by the address."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fairtrial_servers.addresses import said

from fairtrial.errors import NotReadyError
from fairtrial.mlflow_client import mlflow_client
from fairtrial.registry.interface import Registered, Version
from fairtrial.registry.mlflow_uris import (
    advice,
    in_unity_catalog,
    lacks_plugin,
    place,
    registry_uri,
    tracking_uri,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

_EXPERIMENT = "fairtrial"
_RUN_TAG = "fairtrial.run"
_EVIDENCE_TAG = (
    "fairtrial.evidence"  # of the MLflow run that holds what was attached to a version without one
)
_ARTIFACTS = "model"
_PAGE = 200  # versions asked for at once: no more go on Databricks
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")


class MlflowRegistry:
    """One registered model, and the alias that says which version serves."""

    def __init__(self, model: str, alias: str, tracking_uri: str | None) -> None:
        """tracking_uri: MLFLOW_TRACKING_URI of the environment unless given."""
        self._model = model
        self._alias = alias
        self._uri = tracking_uri

    def check(self) -> None:
        """See `Registry`."""
        with self._in_words("asked for"):
            self._client.search_registered_models(max_results=1)

    def promote(self, artifacts: Path, *, run: str, tags: Mapping[str, str]) -> Registered:
        """See `Registry`. The files are logged to an MLflow run of their own, which the version points to."""
        with self._in_words("given the version that won of"):
            version = self._version_of(run) or self._new_version(artifacts, run, tags)
            return Registered(self._model, version, self._alias, self._moved(self._alias, version))

    def holder(self, alias: str) -> Version | None:
        """See `Registry`."""
        with self._in_words(f"asked for the {alias} of"):
            version = self._now(alias)
            return None if version is None else self._told(self._got(version))

    def version(self, version: str) -> Version:
        """See `Registry`."""
        with self._in_words(f"asked for version {version} of"):
            return self._told(self._got(version))

    def versions(self) -> list[Version]:
        """See `Registry`."""
        with self._in_words("asked for the versions of"):
            return [self._told(version) for version in self._newest_first()]

    def move(self, alias: str, version: str) -> str | None:
        """See `Registry`."""
        with self._in_words(f"told that {version} is {alias} of"):
            return self._moved(alias, version)

    def drop(self, alias: str) -> None:
        """See `Registry`."""
        with self._in_words(f"told that none is {alias} of"):
            if self._now(alias) is not None:
                self._client.delete_registered_model_alias(self._model, alias)

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        """See `Registry`."""
        with self._in_words(f"given the tags of version {version} of"):
            self._got(version)
            for key, value in tags.items():
                self._client.set_model_version_tag(self._model, version, key, value)

    def attach(self, version: str, files: Sequence[Path], *, run: str) -> str:
        """See `Registry`. They are artifacts of the version's MLflow run, under fairtrial/RUN."""
        with self._in_words(f"given the report on version {version} of"):
            below = f"fairtrial/{run}"
            holder = self._run_of(self._got(version))
            for file in files:
                self._client.log_artifact(holder, str(file), below)
            return f"runs:/{holder}/{below}"

    @cached_property
    def _address(self) -> str:
        import mlflow

        return self._uri or mlflow.get_tracking_uri()

    @cached_property
    def _registry(self) -> str:
        """The address of the registry, which on Databricks is another than that of runs."""
        own = None if self._uri else os.environ.get("MLFLOW_REGISTRY_URI")
        return own or registry_uri(self._address, self._model)

    @cached_property
    def _client(self) -> MlflowClient:
        if lacks_plugin(self._address):
            raise NotReadyError(
                f"the MLflow registry at {place(self._uri)} is Azure ML's, and its plugin for MLflow is not "
                f"installed: pip install azureml-mlflow"
            )
        return mlflow_client(tracking_uri(self._address), self._registry)

    def _got(self, version: str) -> ModelVersion:
        with _absent_is_none():
            return self._client.get_model_version(self._model, version)
        raise NotReadyError(
            f"there is no version {version} of {self._model} in the MLflow registry at {place(self._uri)}"
        )

    def _told(self, version: ModelVersion) -> Version:
        return Version(
            self._model,
            str(version.version),
            f"models:/{self._model}/{version.version}",
            (version.creation_timestamp or 0) / 1000,
            dict(version.tags),
        )

    def _newest_first(self) -> Iterator[ModelVersion]:
        """With their tags, for which Unity Catalog is asked one by one."""
        whole = not in_unity_catalog(self._registry)
        found = self._listed(f"name='{self._model}'")
        for each in sorted(found, key=lambda version: int(version.version), reverse=True):
            yield each if whole else self._client.get_model_version(self._model, str(each.version))

    def _listed(self, wanted: str) -> list[ModelVersion]:
        listed: list[ModelVersion] = []
        token: str | None = None
        while True:
            page = self._client.search_model_versions(wanted, max_results=_PAGE, page_token=token)
            listed += page
            token = page.token
            if not token:
                return listed

    def _version_of(self, run: str) -> str | None:
        """The version that this run has made; None if there is none."""
        if in_unity_catalog(self._registry):
            found = (each for each in self._newest_first() if dict(each.tags).get(_RUN_TAG) == run)
        else:
            found = iter(self._listed(f"name='{self._model}' and tags.`{_RUN_TAG}`='{run}'"))
        return next((str(each.version) for each in found), None)

    def _new_version(self, artifacts: Path, run: str, tags: Mapping[str, str]) -> str:
        client = self._client
        if self._registered() is None:
            client.create_registered_model(self._model)
        own = client.create_run(self._place(), run_name=run, tags={_RUN_TAG: run})
        log: Callable[[str, str, str], None] = (
            client.log_artifacts if artifacts.is_dir() else client.log_artifact
        )
        log(own.info.run_id, str(artifacts), _ARTIFACTS)
        client.set_terminated(own.info.run_id)
        version = client.create_model_version(
            self._model,
            source=f"{own.info.artifact_uri}/{_ARTIFACTS}",
            run_id=own.info.run_id,
            tags={_RUN_TAG: run, **tags},
        )
        return str(version.version)

    def _place(self) -> str:
        """The MLflow experiment of the runs that we make."""
        experiment = self._client.get_experiment_by_name(_EXPERIMENT)
        return experiment.experiment_id if experiment else self._client.create_experiment(_EXPERIMENT)

    def _run_of(self, version: ModelVersion) -> str:
        """The MLflow run that made a version; where there is none any more, one of ours in its stead."""
        client = self._client
        with _absent_is_none():
            if version.run_id and client.get_run(version.run_id).info.lifecycle_stage == "active":
                return version.run_id
        name = f"{self._model} {version.version}"
        place = self._place()
        found = client.search_runs([place], f"tags.`{_EVIDENCE_TAG}` = '{name}'", max_results=1)
        if found:
            return found[0].info.run_id
        own = client.create_run(place, run_name=name, tags={_EVIDENCE_TAG: name})
        client.set_terminated(own.info.run_id)
        return own.info.run_id

    def _moved(self, alias: str, version: str) -> str | None:
        before = self._now(alias)
        if before == version:
            return None
        self._got(version)
        self._client.set_registered_model_alias(self._model, alias, version)
        return before

    def _now(self, alias: str) -> str | None:
        """The version that has the alias; None if there is none."""
        model = self._registered()
        aliases: Mapping[str, object] = {} if model is None else model.aliases
        return str(aliases[alias]) if alias in aliases else None

    def _registered(self) -> RegisteredModel | None:
        with _absent_is_none():
            return self._client.get_registered_model(self._model)
        return None

    @contextmanager
    def _in_words(self, doing: str) -> Generator[None]:
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, OSError) as error:
            why = said(error, self._address).split(". ")[0].rstrip(".")
            raise NotReadyError(
                f"the MLflow registry at {place(self._uri)} cannot be {doing} {self._model}: {why}; "
                f"{advice(self._address)}"
            ) from None


@contextmanager
def _absent_is_none() -> Generator[None]:
    """What is not there raises nothing."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code not in _ABSENT:
            raise
