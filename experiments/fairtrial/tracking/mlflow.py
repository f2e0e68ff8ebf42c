"""A run of ours as a run of MLflow's: any tracking server, or a local store by its URI."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fairtrial.experiment.model import Experiment
from fairtrial.followers.interface import AwayError, RefusedError
from fairtrial.journal.entries import Effect, Entry, Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.mlflow_client import mlflow_client
from fairtrial.tracking.figures import figures_of, parameters_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Ours alone: the registry tags the runs that hold models otherwise.
_TRIAL_TAG = "fairtrial.trial"
_OUTCOMES = (Effect.PROMOTE, Effect.ROLLBACK, Effect.HOLD)
_KINDS = (Kind.STARTED, Kind.RESUMED, Kind.LOOK, Kind.VERDICT, Kind.FAILED, Kind.ENDED)
_PARAMETERS_AT_ONCE = 100  # the server takes no more
_LONGEST_PARAMETER = 6000  # characters, likewise
_LONGEST_TAG = 8000
_ANSWERS_WITHIN = 3.0  # seconds


class MlflowTracker:
    """See `Follower`. What it does can be done again: what is there is found, and equal values are one."""

    name = "tracking.mlflow"
    at_once = 100

    def __init__(self, place: str, uri: str | None, experiment: Experiment, folder: RunFolder) -> None:
        """place: MLflow's experiment. uri: MLFLOW_TRACKING_URI of the environment unless given."""
        self._place = place
        self._uri = uri
        self._experiment = experiment
        self._folder = folder
        self._client: MlflowClient | None = None
        self._run: str | None = None

    def wants(self, entry: Entry) -> bool:
        return entry.kind in _KINDS or (entry.kind is Kind.DONE and entry.effect in _OUTCOMES)

    def take(self, entries: Sequence[Entry]) -> None:
        """See `Follower`."""
        with self._in_words():
            client = self._answering()
            self._run = run = self._run or self._found(client) or self._made(client, entries[0])
            self._log_looks(client, run, entries)
            for entry in entries:
                if entry.kind is not Kind.LOOK:
                    self._log(client, run, entry)

    def _answering(self) -> MlflowClient:
        """The client of a server that answers now: by itself it would try for minutes. Raises AwayError."""
        if self._client is None:
            import mlflow

            self._uri = self._uri or mlflow.get_tracking_uri()
            self._client = mlflow_client(self._uri)
        assert self._uri is not None, "it was set with the client"
        if self._uri.startswith(("http://", "https://")):
            import httpx

            try:
                httpx.get(self._uri, timeout=_ANSWERS_WITHIN)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise AwayError(f"{self._where} does not answer ({type(error).__name__})") from error
        return self._client

    def _found(self, client: MlflowClient) -> str | None:
        """The run that an earlier process made."""
        experiment = client.get_experiment_by_name(self._place)
        if experiment is None:
            return None
        wanted = f"tags.`{_TRIAL_TAG}` = '{self._folder.id}'"
        found = client.search_runs([experiment.experiment_id], wanted, max_results=1)
        return found[0].info.run_id if found else None

    def _made(self, client: MlflowClient, first: Entry) -> str:
        experiment = client.get_experiment_by_name(self._place)
        where = experiment.experiment_id if experiment else client.create_experiment(self._place)
        tags = {_TRIAL_TAG: self._folder.id, "fairtrial.name": self._experiment.metadata.name}
        run = client.create_run(where, round(first.time * 1000), tags, run_name=self._folder.id)
        return run.info.run_id

    def _log_looks(self, client: MlflowClient, run: str, entries: Sequence[Entry]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, round(entry.time * 1000), entry.body["look"])
            for entry in entries
            if entry.kind is Kind.LOOK
            for name, value in figures_of(entry.body["verdict"]).items()
        ]
        for start in range(0, len(metrics), 1000):  # the server takes no more at once
            client.log_batch(run, metrics=metrics[start : start + 1000])

    def _log(self, client: MlflowClient, run: str, entry: Entry) -> None:
        match entry.kind:
            case Kind.STARTED:
                self._log_parameters(client, run)
            case Kind.RESUMED:
                client.update_run(run, status="RUNNING")
            case Kind.VERDICT:
                client.set_tag(run, "fairtrial.verdict", entry.body["verdict"])
                client.set_tag(run, "fairtrial.candidate", entry.body["candidate"])
                client.set_tag(run, "fairtrial.reasons", "\n".join(entry.body["reasons"])[:_LONGEST_TAG])
            case Kind.DONE:
                client.set_tag(run, "fairtrial.outcome", entry.body["outcome"])
            case Kind.FAILED:
                client.set_tag(run, "fairtrial.failure", entry.body["message"][:_LONGEST_TAG])
                self._end(client, run, "FAILED", entry)
            case _:
                self._end(client, run, "KILLED" if entry.body.get("aborted") else "FINISHED", entry)

    def _log_parameters(self, client: MlflowClient, run: str) -> None:
        from mlflow.entities import Param

        params = [
            Param(path, value[:_LONGEST_PARAMETER]) for path, value in parameters_of(self._experiment).items()
        ]
        for start in range(0, len(params), _PARAMETERS_AT_ONCE):
            client.log_batch(run, params=params[start : start + _PARAMETERS_AT_ONCE])

    def _end(self, client: MlflowClient, run: str, status: str, entry: Entry) -> None:
        for path in (self._folder.experiment, self._folder.verdict, self._folder.report):
            if path.is_file():
                client.log_artifact(run, str(path))
        client.set_terminated(run, status, round(entry.time * 1000))

    @property
    def _where(self) -> str:
        host = (self._uri or "of MLFLOW_TRACKING_URI").rpartition("@")[2]
        return f"the MLflow server at {host}"

    @contextmanager
    def _in_words(self) -> Generator[None]:
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            said = f"{self._where} said: {str(error).splitlines()[0][:300]}"
            status = error.get_http_status_code()
            if 400 <= status < 500 and status not in (408, 429):
                raise RefusedError(said) from error
            raise AwayError(said) from error
        except OSError as error:
            raise AwayError(f"{self._where} cannot be reached ({type(error).__name__})") from error
