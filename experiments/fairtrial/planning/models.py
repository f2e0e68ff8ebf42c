"""The models of an experiment on this machine: each is fetched once, the same from plan to verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairtrial_graphs.backends.interface import Launcher, ModelServer
from fairtrial_graphs.seldon.types import SeldonDeployment
from fairtrial_servers.addresses import is_remote, shown
from fairtrial_servers.errors import ServerError
from fairtrial_servers.errors import UnsafeModelError as UnsafeFiles
from fairtrial_servers.formats import detect
from fairtrial_servers.store import Fetched, obtain
from fairtrial_servers.store.interface import UnreachableError

from fairtrial.errors import NotReadyError, UnsafeModelError, UsageError

#: Told as a model comes in: its address as it may be shown, bytes that are here, bytes in all if known.
Fetching = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Recorded:
    """What a run has noted of an arm's model when it began."""

    digest: str | None  # None where only a cluster fetches it
    implementation: str


def silent(_what: str, _done: int, _total: int | None) -> None:
    """Tells nobody."""


class Models:
    """Fetches the models of one experiment. An alias that moves meanwhile is not followed."""

    def __init__(
        self, folder: Path, fetching: Fetching = silent, recorded: Mapping[str, Recorded] | None = None
    ) -> None:
        """folder: where relative paths start. recorded: by address, what must be the same as it was."""
        self._folder = folder
        self._fetching = fetching
        self._recorded = recorded or {}
        self._fetched: dict[str, Fetched] = {}
        self._digests: dict[str, str] = {}

    def at(self, uri: str) -> Path:
        """The model's file or folder on this machine, fetched on the first call.

        Raises UsageError when there is none, or it is not the recorded one, NotReadyError when what it is
        fetched from does not answer.
        """
        if uri not in self._fetched:
            self._fetched[uri] = self._obtain(uri)
        return self._fetched[uri].path

    def server_of(self, uri: str) -> str:
        """What a SeldonDeployment names as `implementation` for the model's format. Raises as `at` does."""
        if uri in self._recorded:
            return self._recorded[uri].implementation
        try:
            return detect(self.at(uri)).servers[0]
        except ServerError as error:
            raise UsageError(str(error)) from error

    def digest(self, uri: str) -> str:
        """ "sha256:..." of the model's files. Raises as `at` does."""
        if uri not in self._digests:
            self.at(uri)
            try:
                self._digests[uri] = self._fetched[uri].digest()
            except ServerError as error:
                raise UsageError(str(error)) from error
        return self._digests[uri]

    def launcher(self, launch: Launcher) -> Launcher:
        """`launch`, with every address that was fetched replaced by where its model is."""

        def launched(*, model_uri: str, **rest: Any) -> ModelServer:
            found = self._fetched.get(model_uri) if is_remote(model_uri) else None
            return launch(model_uri=str(found.path) if found else model_uri, **rest)

        return launched

    def _obtain(self, uri: str) -> Fetched:
        what = shown(uri)
        recorded = self._recorded.get(uri)
        try:
            return obtain(
                uri,
                self._folder,
                lambda done, total: self._fetching(what, done, total),
                digest=recorded.digest if recorded else None,
            )
        except UnreachableError as error:
            raise NotReadyError(str(error)) from error
        except UnsafeFiles as error:
            raise UnsafeModelError(str(error)) from error
        except ServerError as error:
            raise UsageError(str(error)) from error


@dataclass(frozen=True)
class ArmModel:
    """Which files an arm serves, as the journal has it."""

    arm: str
    model_uri: str
    implementation: str
    digest: str | None  # None where only a cluster fetches it

    def as_json(self) -> dict[str, str | None]:
        return {
            "arm": self.arm,
            "modelUri": self.model_uri,
            "implementation": self.implementation,
            "digest": self.digest,
        }


def models_of(deployment: SeldonDeployment, models: Models) -> list[ArmModel]:
    """Fetch every model that a deployment names, and say which files they are. Raises as `Models.at` does."""
    return [
        ArmModel(predictor.name, node.modelUri, node.implementation or "", models.digest(node.modelUri))
        for predictor in deployment.spec.predictors
        for _, node in predictor.graph.walk("")
        if node.modelUri
    ]


def models_named(deployment: SeldonDeployment) -> list[ArmModel]:
    """Every model that a deployment names, none of them fetched: a cluster does that itself."""
    return [
        ArmModel(predictor.name, node.modelUri, node.implementation or "", None)
        for predictor in deployment.spec.predictors
        for _, node in predictor.graph.walk("")
        if node.modelUri
    ]


def recorded_in(started: Mapping[str, Any]) -> dict[str, Recorded]:
    """By address, what the journal's first entry says of the models."""
    return {
        model["modelUri"]: Recorded(model["digest"], model["implementation"])
        for model in started.get("models", ())
    }
