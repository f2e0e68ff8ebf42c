"""The status of one resource, as the replica that works on it has it, and as it gets to the API server.

The status is where a run's journal is, so that it is written whole, and with the version that it was read
at. Who writes it stands in it: a replica that was taken for dead and is not finds another's name there, and
stops.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from fairtrial_graphs.backends.kubernetes.api import Api
from fairtrial_graphs.backends.kubernetes.errors import ApiError

from fairtrial.operator.conditions import with_condition
from fairtrial.operator.interruption import StoppedError
from fairtrial.operator.resource import EXPERIMENT, FINALIZER, Resource

_CONFLICT = 409


class GoneError(Exception):
    """The resource is no longer there, or another of its name is."""


class Record:
    """Thread-safe, though only one thread at a time is to change it."""

    def __init__(self, api: Api, resource: Resource, operator: str, now: Callable[[], float]) -> None:
        """operator: the name of this replica, which its status is to carry once it has been claimed."""
        self._api = api
        self._operator = operator
        self._now = now
        self._lock = threading.RLock()
        self._resource = resource
        self._claimed = False
        self._written: Mapping[str, Any] = resource.status
        self._written_at = now()
        self.status: dict[str, Any] = {**resource.status}

    @property
    def resource(self) -> Resource:
        """As the API server had it last."""
        return self._resource

    def claim(self) -> None:
        """Make this replica the one that writes. Raises as `write` does."""
        self.status["operator"] = self._operator
        self.write()
        self._claimed = True

    def refresh(self) -> None:
        """Read it anew, with what is not written yet forgotten. Raises GoneError, StoppedError, ApiError."""
        with self._lock:
            self._read_again()
            self.status = {**self._resource.status}

    def set(self, **fields: Any) -> None:
        """By the names that the status has them; None takes a field out."""
        with self._lock:
            for name, value in fields.items():
                if value is None:
                    self.status.pop(name, None)
                else:
                    self.status[name] = _without_nulls(value)

    def condition(self, kind: str, holds: bool | None, reason: str, message: str = "") -> None:
        with self._lock:
            self.status["conditions"] = with_condition(
                self.status.get("conditions") or [],
                kind,
                holds,
                reason,
                message,
                now=self._now(),
                generation=self.status.get("observedGeneration", self._resource.generation),
            )

    def write_if_due(self, every: float) -> None:
        """Write what has changed, if that is so many seconds after the last time. Raises as `write` does."""
        if self._now() - self._written_at >= every:
            self.write()

    def write(self) -> None:
        """Write the status, if it has changed. What it returns of outlives this process.

        Raises GoneError, StoppedError where another replica has taken over, and ApiError.
        """
        with self._lock:
            wanted = {**self.status}
            while wanted != self._written:
                # With the version, so that it is a conflict where somebody has written since.
                change = {
                    "metadata": {"resourceVersion": self._resource.version, "uid": self._resource.uid},
                    "status": _replacing(self._written, wanted),
                }
                found = self._patch(change, "status")
                if found is not None:
                    self._resource, self._written = found, found.status
                    break
            if wanted == self._written:
                self.status = {**self._written}  # in memory once
            self._written_at = self._now()

    def hold(self) -> None:
        """Keep the resource from being deleted under a run. Raises as `write` does."""
        self._edit(lambda resource: not resource.held, _held)

    def let_go(self) -> None:
        """Let it be deleted. Raises as `write` does, but for GoneError."""
        try:
            self._edit(lambda resource: resource.held, _let_go)
        except GoneError:
            return

    def forget(self, annotations: tuple[str, ...]) -> None:
        """Take annotations away that have been heard. Raises as `write` does."""

        def asked(resource: Resource) -> bool:
            return any(each in resource.requests for each in annotations)

        def without(_: Resource) -> dict[str, Any]:
            return {"annotations": dict.fromkeys(annotations)}

        self._edit(asked, without)

    def _edit(self, needed: Callable[[Resource], bool], change: Callable[[Resource], dict[str, Any]]) -> None:
        with self._lock:
            while needed(self._resource):
                precondition = {"resourceVersion": self._resource.version, "uid": self._resource.uid}
                found = self._patch({"metadata": {**change(self._resource), **precondition}})
                if found is not None:
                    self._resource = found

    def _patch(self, change: Mapping[str, Any], subresource: str = "") -> Resource | None:
        """The resource as it then is; None where it had changed, and is to be looked at again."""
        try:
            found = self._api.patch(EXPERIMENT, *self._resource.key, change, subresource)
        except ApiError as error:
            if error.code != _CONFLICT:
                raise
            self._read_again()
            return None
        if found is None:
            raise GoneError
        return Resource(found).compact

    def _read_again(self) -> None:
        found = self._api.get(EXPERIMENT, *self._resource.key)
        if found is None or found["metadata"]["uid"] != self._resource.uid:
            raise GoneError
        fresh = Resource(found).compact
        if self._claimed and fresh.status.get("operator") != self._operator:
            raise StoppedError
        self._resource, self._written = fresh, fresh.status


def _without_nulls(value: Any) -> Any:
    """A merge patch cannot say null of a field that is to stay."""
    if isinstance(value, Mapping):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return value


def _replacing(before: Any, wanted: Any) -> Any:
    """The merge patch that leaves exactly what is wanted, nothing of what was before."""
    if not isinstance(before, Mapping) or not isinstance(wanted, Mapping):
        return wanted
    gone = {name: None for name in before if name not in wanted}
    changed = {
        name: _replacing(before.get(name), value)
        for name, value in wanted.items()
        if name not in before or before[name] != value
    }
    return {**changed, **gone}


def _held(resource: Resource) -> dict[str, Any]:
    return {"finalizers": [*(resource.metadata.get("finalizers") or ()), FINALIZER]}


def _let_go(resource: Resource) -> dict[str, Any]:
    return {"finalizers": [e for e in resource.metadata.get("finalizers") or () if e != FINALIZER]}
