"""What the command line asks of an experiment on a cluster: the annotations that anybody could set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairtrial_graphs.backends.interface import NotReady
from fairtrial_graphs.backends.kubernetes.api import Api
from fairtrial_graphs.backends.kubernetes.connection import connect
from fairtrial_graphs.backends.kubernetes.errors import ApiError

from fairtrial.controller.approval import somebody
from fairtrial.errors import NotReadyError, UsageError
from fairtrial.operator.resource import ABORT, APPROVE, EXPERIMENT, PAUSE, RETRY, Resource, words


@dataclass(frozen=True)
class Where:
    """A cluster, and a namespace of it."""

    namespace: str | None = None  # the context's unless said
    context: str | None = None
    kubeconfig: Path | None = None


class Asking:
    """One experiment. Every verb returns what was asked for, in a sentence.

    Raises UsageError where there is no such experiment or nothing of it to ask for, NotReadyError where the
    cluster does not answer or refuses.
    """

    def __init__(self, where: Where, name: str) -> None:
        try:
            client, default = connect(where.kubeconfig, where.context)
        except NotReady as error:
            raise NotReadyError(str(error)) from error
        self._api = Api(client)
        self._key = where.namespace or default, name

    def resource(self) -> Resource:
        try:
            found = self._api.get(EXPERIMENT, *self._key)
        except ApiError as error:
            raise NotReadyError(f"experiment {words(self._key)}: {error}") from error
        if found is None:
            raise UsageError(f"there is no experiment {self._key[1]} in namespace {self._key[0]}")
        return Resource(found)

    def pause(self) -> str:
        self._running()
        self._annotate({PAUSE: "true"})
        return f"{words(self._key)} is paused: it is judged, and not shifted"

    def abort(self) -> str:
        self._running()
        self._annotate({ABORT: "true"})
        return f"{words(self._key)} was told to end; it returns to the baseline first"

    def approve(self) -> str:
        resource = self.resource()
        if resource.status.get("phase") != "AwaitingApproval":
            raise UsageError(f"{words(self._key)} waits for nobody's approval: {_standing(resource)}")
        self._annotate({APPROVE: somebody()})
        return f"the promotion of {words(self._key)} is approved"

    def resume(self) -> str:
        """Go on with a run that is paused; begin another where the last has ended."""
        resource = self.resource()
        if resource.asks(PAUSE):
            self._annotate({PAUSE: None})
            return f"{words(self._key)} goes on"
        run = resource.status.get("run")
        if run is not None and "ended" not in run:
            raise UsageError(f"{words(self._key)} is not paused: {_standing(resource)}")
        self._annotate({RETRY: "true"})
        return f"{words(self._key)} begins another run"

    def _running(self) -> None:
        resource = self.resource()
        seen = resource.status.get("observedGeneration") == resource.generation
        if seen and "ended" in (resource.status.get("run") or {}):
            raise UsageError(f"{words(self._key)} has ended: {_standing(resource)}")

    def _annotate(self, annotations: Mapping[str, str | None]) -> None:
        change: dict[str, Any] = {"metadata": {"annotations": annotations}}
        try:
            found = self._api.patch(EXPERIMENT, *self._key, change)
        except ApiError as error:
            raise NotReadyError(f"experiment {words(self._key)}: {error}") from error
        if found is None:
            raise UsageError(f"there is no experiment {self._key[1]} in namespace {self._key[0]} any more")


def _standing(resource: Resource) -> str:
    status = resource.status
    return f"{status.get('phase', 'Pending')}, {status.get('message') or 'no operator has seen it yet'}"
