"""MLflow's model registry: any tracking server, or a local store by its URI."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fairtrial.errors import NotReadyError
from fairtrial.mlflow_client import mlflow_client
from fairtrial.registry.interface import Registered

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_EXPERIMENT = "fairtrial"
_RUN_TAG = "fairtrial.run"
_ARTIFACTS = "model"


class MlflowRegistry:
    """One registered model, and the alias that says which version serves."""

    def __init__(self, model: str, alias: str, tracking_uri: str | None) -> None:
        """tracking_uri: MLFLOW_TRACKING_URI of the environment unless given."""
        self._model = model
        self._alias = alias
        self._uri = tracking_uri
        self._known: MlflowClient | None = None

    def check(self) -> None:
        """See `Registry`."""
        with self._in_words("asked for the registered model"):
            self._client.search_registered_models(max_results=1)

    def promote(self, artifacts: Path, *, run: str, tags: Mapping[str, str]) -> Registered:
        """See `Registry`. The files are logged to an MLflow run of their own, which the version points to."""
        with self._in_words("given the version that won"):
            version = self._version_of(run) or self._new_version(artifacts, run, tags)
            before = self._now()
            if before != version:
                self._client.set_registered_model_alias(self._model, self._alias, version)
            return Registered(self._model, version, self._alias, None if before == version else before)

    @property
    def _client(self) -> MlflowClient:
        if self._known is None:
            self._known = mlflow_client(self._uri)
        return self._known

    def _version_of(self, run: str) -> str | None:
        """The version that this run has made; None if there is none."""
        found = self._client.search_model_versions(f"name='{self._model}' and tags.`{_RUN_TAG}`='{run}'")
        versions: list[ModelVersion] = list(found)
        return str(versions[0].version) if versions else None

    def _new_version(self, artifacts: Path, run: str, tags: Mapping[str, str]) -> str:
        client = self._client
        if not client.search_registered_models(f"name='{self._model}'"):
            client.create_registered_model(self._model)
        experiment = client.get_experiment_by_name(_EXPERIMENT)
        place = experiment.experiment_id if experiment else client.create_experiment(_EXPERIMENT)
        own = client.create_run(place, run_name=run, tags={_RUN_TAG: run})
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

    def _now(self) -> str | None:
        """The version that has the alias; None if there is none."""
        model = self._client.get_registered_model(self._model)
        aliases: Mapping[str, object] = model.aliases
        return str(aliases[self._alias]) if self._alias in aliases else None

    @contextmanager
    def _in_words(self, doing: str) -> Generator[None]:
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, OSError) as error:
            where = self._uri or "of MLFLOW_TRACKING_URI"
            said = str(error).splitlines()[0][:300]
            raise NotReadyError(
                f"the MLflow registry at {where} cannot be {doing} {self._model}: {said}; "
                f"see promotion.mlflow.trackingUri and the server's log"
            ) from error
