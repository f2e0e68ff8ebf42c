"""Looks after all pipelines of the operator's namespaces, in one thread.

They are told of by one watch for each namespace, and their pods by the watch that Experiments need anyway: no
request is made for a pipeline that stands as it is to, but for a look at its objects every few minutes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fairtrial_graphs.backends.kubernetes.api import Api
from fairtrial_graphs.backends.kubernetes.errors import ApiError
from fairtrial_graphs.backends.kubernetes.kinds import POD
from fairtrial_graphs.backends.kubernetes.observer import Observer

from fairtrial.delivery.showing import PIPELINE
from fairtrial.operator.events import Events
from fairtrial.operator.pipelines.objects import pod_name
from fairtrial.operator.pipelines.readiness import Outcome, status_of
from fairtrial.operator.pipelines.reconcile import bring
from fairtrial.operator.resource import Resource, words

_log = logging.getLogger(__name__)
_TICK = 0.5  # seconds, between two looks at what is known here
_WITHOUT_KIND = 60.0  # seconds, until a cluster that does not know pipelines is asked again
#: Seconds until a pipeline's objects are looked at again, by what became of it.
_AGAIN: Mapping[bool | None, float] = {True: 300.0, False: 30.0, None: 5.0}


@dataclass
class _Known:
    """What this process knows of one version of a pipeline."""

    generation: int
    outcome: Outcome
    due: float
    resource: Resource  # as it was when its status was written


class Keeper:
    """Acts while it leads, from `start` to `stop`."""

    def __init__(
        self,
        api: Api,
        events: Events,
        pods: Mapping[str | None, Observer],
        image: str | None,
        leading: Callable[[], bool],
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """events: about pipelines. pods: by namespace, None for all. image: of pods that name none."""
        self._api = api
        self._events = events
        self._pods = pods
        self._image = image
        self._leading = leading
        self._now = now
        self._clock = clock
        self._known: dict[str, _Known] = {}  # by uid
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pipelines", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Everything stays as it is: pods go on without the operator."""
        self._ending.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        watched = self._watched()
        try:
            while not self._ending.wait(_TICK):
                self._look(watched)
        finally:
            for observer in watched.values():
                observer.stop()

    def _watched(self) -> dict[str | None, Observer]:
        """A watch of pipelines for each namespace, once the cluster lets them be watched."""
        watched: dict[str | None, Observer] = {}
        told = ""
        while len(watched) < len(self._pods) and not self._ending.is_set():
            for namespace in self._pods.keys() - watched.keys():
                observer = Observer(self._api, [PIPELINE], namespace)
                try:
                    observer.start()
                except ApiError as error:
                    if str(error) != told:
                        told = str(error)
                        _log.warning("pipelines are not looked after: %s", told)
                    self._ending.wait(_WITHOUT_KIND)
                    break
                watched[namespace] = observer
        return watched

    def _look(self, watched: Mapping[str | None, Observer]) -> None:
        there: set[str] = set()
        for namespace, observer in watched.items():
            for raw in observer.all(PIPELINE):
                resource = Resource(raw)
                there.add(resource.uid)
                if self._ending.is_set() or resource.deleting or not self._leading():
                    continue
                try:
                    self._keep(resource, self._pods[namespace])
                except ApiError as error:
                    _log.warning("%s: %s; asked again", words(resource.key), error)
                except Exception:  # noqa: BLE001 - one pipeline's bug is not to be that of the others
                    _log.exception("%s: a bug in Fairtrial", words(resource.key))
        for gone in self._known.keys() - there:
            del self._known[gone]

    def _keep(self, resource: Resource, pods: Observer) -> None:
        known = self._known.get(resource.uid)
        if known is None or known.generation != resource.generation or self._clock() >= known.due:
            known = self._known[resource.uid] = self._brought(resource, known)
        if resource.is_older_than(known.resource):
            resource = known.resource
        pod = pods.get(POD, resource.key[0], pod_name(resource.key[1]))
        if pod is None and known.outcome.accepted:  # somebody may have removed what makes it
            known.due = min(known.due, self._clock() + _AGAIN[False])
        status = status_of(known.outcome, pod, resource.status, generation=known.generation, now=self._now())
        known.resource = self._written(resource, status)

    def _brought(self, resource: Resource, before: _Known | None) -> _Known:
        try:
            outcome = bring(self._api, resource, self._image)
        except ApiError as error:
            outcome = Outcome(None, "NoAnswer", str(error))
        if before is None or (before.generation, before.outcome) != (resource.generation, outcome):
            self._tell(resource, outcome)
        due = self._clock() + _AGAIN[outcome.accepted]
        return _Known(resource.generation, outcome, due, resource)

    def _tell(self, resource: Resource, outcome: Outcome) -> None:
        once = f"{resource.generation}/{outcome.message}"
        if outcome.accepted is False:
            self._events.tell(resource, "Refused", outcome.message, kind="Warning", once=once)
        elif outcome.accepted:
            self._events.tell(resource, "Applied", "its objects are as the spec wants them", once=once)

    def _written(self, resource: Resource, status: Mapping[str, Any]) -> Resource:
        """The resource with this status; nothing is sent where it has it already. Others' fields stay."""
        changed = {name: value for name, value in status.items() if resource.status.get(name) != value}
        if not changed:
            return resource
        change = {"metadata": {"uid": resource.uid}, "status": changed}
        found = self._api.patch(PIPELINE, *resource.key, change, "status")
        return Resource(found) if found is not None else resource
