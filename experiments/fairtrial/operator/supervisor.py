"""Decides for each experiment what is to be done next: begin a run, go on with one, refuse, let go.

What it decides follows from the resource as it is, and from nothing that this process remembers: it is asked
again whenever the resource has changed, and when a run has ended.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from fairtrial_graphs.backends.kubernetes.errors import ApiError
from fairtrial_graphs.backends.kubernetes.kinds import SELDON_DEPLOYMENT

from fairtrial.experiment.standing import Phase
from fairtrial.journal.entries import Kind
from fairtrial.operator.attempt import DELETED
from fairtrial.operator.claims import Claims
from fairtrial.operator.conditions import timestamp
from fairtrial.operator.interruption import StoppedError
from fairtrial.operator.journal import StatusJournal
from fairtrial.operator.record import GoneError, Record
from fairtrial.operator.resource import ABORT, RETRY, Key, Resource, words
from fairtrial.operator.run import ExperimentRun
from fairtrial.operator.services import Services
from fairtrial.operator.trial import names_deployment

_log = logging.getLogger(__name__)
_WORKERS = 4
_AGAIN = 5.0  # seconds, after an answer that the API server did not give


class Supervisor:
    """One thread for each run that goes on, and a few that decide. `observe` never waits."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._claims = Claims()
        self._seen: dict[Key, Resource] = {}  # outlines
        self._runs: dict[Key, ExperimentRun] = {}
        self._lock = threading.Lock()
        self._due: queue.Queue[Key | None] = queue.Queue()
        self._queued: set[Key] = set()
        self._busy: set[Key] = set()
        self._stopping = threading.Event()
        self._workers = [
            threading.Thread(target=self._work, name=f"deciding {i}", daemon=True) for i in range(_WORKERS)
        ]

    @property
    def running(self) -> int:
        """How many runs go on."""
        return len(self._runs)

    def start(self, resources: Iterable[Mapping[str, Any]]) -> None:
        """Take up what is there: first the runs that go on, for they hold their SeldonDeployments."""
        found = [Resource(raw).outline for raw in resources]
        for resource in found:
            self._seen[resource.key] = resource
            if _is_open(resource):
                self._claims.take((resource.key[0], resource.deployment), resource.key)
        for resource in sorted(found, key=lambda each: not _is_open(each)):
            self._enqueue(resource.key)
        for worker in self._workers:
            worker.start()

    def observe(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """An event of the watch: ADDED, MODIFIED or DELETED, or None for what was there."""
        resource = Resource(raw).outline
        with self._lock:
            known = self._seen.get(resource.key)
            if kind == "DELETED":
                self._seen.pop(resource.key, None)
            elif known is not None and resource.is_older_than(known):
                return
            else:
                self._seen[resource.key] = resource
            run = self._runs.get(resource.key)
        if run is not None and kind != "DELETED":
            run.notice(resource)
        self._enqueue(resource.key)

    def stop(self, timeout: float) -> None:
        """Leave every run where it stands; returns once all have heard, or after so many seconds."""
        self._stopping.set()
        deadline = time.monotonic() + timeout
        runs = list(self._runs.values())
        for run in runs:
            run.stop()
        for _ in self._workers:
            self._due.put(None)
        for each in (*runs, *self._workers):
            each.join(max(0.0, deadline - time.monotonic()))

    # ---- the workers

    def _enqueue(self, key: Key) -> None:
        with self._lock:
            if key in self._queued:
                return
            self._queued.add(key)
        self._due.put(key)

    def _work(self) -> None:
        while (key := self._due.get()) is not None and not self._stopping.is_set():
            with self._lock:
                self._queued.discard(key)
                if key in self._busy:  # another worker decides on it: again, once it has
                    later = True
                else:
                    later = False
                    self._busy.add(key)
            if later:
                self._again(key, 0.1)
                continue
            try:
                self._decide(key)
            except (StoppedError, GoneError):
                pass
            except ApiError as error:
                _log.warning("%s: %s; asked again", words(key), error)
                self._again(key, _AGAIN)
            except Exception:  # noqa: BLE001 - one experiment's bug is not to be that of the others
                _log.exception("%s: a bug in Fairtrial", words(key))
            finally:
                with self._lock:
                    self._busy.discard(key)

    def _again(self, key: Key, seconds: float) -> None:
        timer = threading.Timer(seconds, self._enqueue, [key])
        timer.daemon = True
        timer.start()

    # ---- decisions

    def _decide(self, key: Key) -> None:
        resource = self._seen.get(key)
        if resource is None or key in self._runs:
            return
        if not self._services.leading():  # it may be again: a lease that is renewed late is not lost
            self._again(key, _AGAIN)
            return
        if _is_open(resource):
            self._resume(resource)
        elif resource.deleting:
            self._let_go(resource)
        elif _is_wanted(resource):
            self._begin(resource)
        else:
            self._tidy(resource)

    def _resume(self, resource: Resource) -> None:
        """A run that an earlier process has left where it stands."""
        record = self._record(resource)
        if not _is_open(record.resource):
            return
        deployment = record.status["run"]["spec"].get("deployment") or resource.metadata["name"]
        self._claims.take((resource.key[0], deployment), resource.key)
        record.claim()
        record.forget((RETRY,))  # it was heard when the run began, or says nothing to one that goes on
        self._run(record)

    def _let_go(self, resource: Resource) -> None:
        if not resource.held:
            return
        record = self._record(resource)
        run = record.status.get("run")
        if run is None or not run.get("kept"):
            record.let_go()
            return
        # Its split was left to itself; without the experiment nobody would end it.
        record.set(run={name: value for name, value in run.items() if name not in ("ended", "kept")})
        StatusJournal(record, self._services.now).append(Kind.ABORT, {"reason": DELETED})
        self._run(record)

    def _begin(self, resource: Resource) -> None:
        record = self._record(resource)
        resource = record.resource
        if resource.deleting or not _is_wanted(resource):
            return
        before = resource.status.get("run")
        attempt = int(before["attempt"]) + 1 if before else 1
        record.set(observedGeneration=resource.generation)
        if resource.asks(ABORT):
            message = "aborted before it began"
            record.set(phase=Phase.ABORTED.value, message=message)
            record.write()
            self._heard(record)
            return
        holder = self._claims.take((resource.key[0], resource.deployment), resource.key)
        if holder is not None:
            self._refuse(record, holder)
            return
        now = self._services.now()
        record.set(
            phase=Phase.PENDING.value,
            message="a run begins",
            run={
                "id": f"{resource.metadata['name']}-{resource.uid[:8]}-{attempt}",
                "attempt": attempt,
                "generation": resource.generation,
                "started": timestamp(now),
                "spec": dict(resource.spec),
                "deployment": self._deployment(resource),
            },
            journal=None,
            verdict=None,
            candidates=None,
            step=None,
            conditions=None,
        )
        record.condition("Accepted", True, "Accepted", "the run begins")
        record.condition("Complete", False, "GoesOn")
        record.claim()
        self._heard(record)
        self._run(record)

    def _deployment(self, resource: Resource) -> dict[str, Any] | None:
        """The SeldonDeployment that its spec names, less what is not the author's."""
        named = names_deployment(resource.spec)
        found = self._services.api.get(SELDON_DEPLOYMENT, resource.key[0], named) if named else None
        if found is None:
            return None
        labels = {"labels": found["metadata"]["labels"]} if "labels" in found["metadata"] else {}
        return {
            "apiVersion": found["apiVersion"],
            "kind": found["kind"],
            "metadata": {"name": named, **labels},
            "spec": found["spec"],
        }

    def _refuse(self, record: Record, holder: Key) -> None:
        resource = record.resource
        namespace, deployment = resource.key[0], resource.deployment
        message = (
            f"SeldonDeployment {namespace}/{deployment} is on trial in experiment {holder[1]} already. "
            f"This one does not begin by itself once that has ended, for its baseline may no longer be what "
            f"serves: annotate it with {RETRY} then"
        )
        record.set(phase=Phase.REFUSED.value, message=message)
        record.condition("Accepted", False, "DeploymentOnTrial", message)
        record.write()
        self._services.events.tell(
            resource, "Refused", message, kind="Warning", once=f"{resource.generation}/{holder[1]}"
        )
        self._heard(record)

    def _tidy(self, resource: Resource) -> None:
        """Nothing is to be done: no finalizer is left of a run that has ended, and no request unanswered."""
        run = resource.status.get("run")
        if resource.held and run is not None and not run.get("kept"):
            self._record(resource).let_go()
        if resource.requests:
            record = self._record(resource)
            names = ", ".join(resource.requests)
            message = f"nothing to do for {names}: no run goes on that could be"
            self._services.events.tell(resource, "NothingToDo", message, once=resource.version)
            record.forget(resource.requests)

    def _run(self, record: Record) -> None:
        resource = record.resource.outline
        key = resource.key

        def ended() -> None:
            with self._lock:
                self._runs.pop(key, None)
                seen = self._seen.get(key)
                if seen is not None and not record.resource.is_older_than(seen):
                    self._seen[key] = record.resource.outline
            self._claims.release(key)
            if not self._stopping.is_set():
                self._enqueue(key)

        run = ExperimentRun(self._services, record, resource, ended)
        with self._lock:
            self._runs[key] = run
            run.notice(self._seen.get(key, resource))
        run.start()

    def _heard(self, record: Record) -> None:
        if record.resource.requests:
            record.forget(record.resource.requests)

    def _record(self, resource: Resource) -> Record:
        """The whole of it, read anew. Raises GoneError, ApiError."""
        record = Record(self._services.api, resource, self._services.operator, self._services.now)
        record.refresh()
        return record


def _is_open(resource: Resource) -> bool:
    """Whether there is a run that has not come to its end."""
    run = resource.status.get("run")
    return run is not None and "ended" not in run


def _is_wanted(resource: Resource) -> bool:
    """Whether another run is asked for: by a spec that was not tried, or by somebody."""
    tried = resource.status.get("observedGeneration")
    return tried != resource.generation or resource.asks(RETRY)
