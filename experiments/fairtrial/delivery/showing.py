"""How a pipeline stands, in the status of the resource that it is of: what `kubectl get pipelines` shows."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from fairtrial_graphs.backends.interface import NotReady
from fairtrial_graphs.backends.kubernetes.api import Api
from fairtrial_graphs.backends.kubernetes.connection import connect
from fairtrial_graphs.backends.kubernetes.errors import ApiError
from fairtrial_graphs.backends.kubernetes.kinds import Kind

from fairtrial.clock import Clock
from fairtrial.delivery.ledger import in_service, newest, read
from fairtrial.delivery.pipeline.model import KIND
from fairtrial.delivery.state import State
from fairtrial.errors import NotReadyError, UsageError
from fairtrial.experiment.model import API_VERSION
from fairtrial.pauses import pause_after

PIPELINE = Kind(KIND, API_VERSION, "pipelines")
#: The variable of the environment that names the resource: NAMESPACE/NAME. Who made the pod sets it.
RESOURCE = "FAIRTRIAL_PIPELINE"

_PATIENCE = 2.0  # seconds that the watch may be held up for it
_FIRST, _LONGEST = 2.0, 300.0  # seconds until it is tried again
_GONE = "there is no such resource any more"

Show = Callable[[Mapping[str, Any]], None]


def standing(state: State) -> dict[str, Any]:
    """The fields of the status that are the pipeline's own, each said anew: a merge patch.

    Raises StateError where the history is broken.
    """
    entries = read(state)
    serving = in_service(entries)
    last = entries[-1] if entries else None
    return {
        "inService": serving and serving.version,
        "since": serving and _timestamp(serving.time),
        "last": last
        and {
            "action": last.action.value,
            "version": last.version,
            "time": _timestamp(last.time),
            "why": last.why,
        },
    }


class Shown:
    """Shows what the ledger says whenever it has grown, and when the watch begins. In the watch's thread."""

    def __init__(self, state: State, show: Show, clock: Clock, say: Callable[[str], None]) -> None:
        """show: raises NotReadyError where it is to be tried again, UsageError where that is of no use."""
        self._state = state
        self._show = show
        self._clock = clock
        self._say = say
        self._known = -1
        self._failures = 0
        self._not_before = 0.0

    def tell(self) -> None:
        """Never raises for a resource that cannot be written."""
        last, now = newest(self._state), self._clock.now()
        if last == self._known or now < self._not_before:
            return
        try:
            self._show(standing(self._state))
        except NotReadyError as error:
            self._failures += 1
            self._not_before = now + pause_after(self._failures, _FIRST, _LONGEST)
            if self._failures == 1:
                self._say(f"{error}; it is tried again")
            return
        except UsageError as error:
            self._say(str(error))
        self._failures = 0
        self._known = last


def resource_of_pod() -> Show | None:
    """Shows in the status of the resource that this process is the pod of; None where it is of none.

    Raises UsageError for a name that is none, NotReadyError without a way to the cluster.
    """
    said = os.environ.get(RESOURCE)
    if not said:
        return None
    namespace, _, name = said.partition("/")
    if not namespace or not name or "/" in name:
        raise UsageError(f"{RESOURCE} is {said}, where NAMESPACE/NAME of a Pipeline is expected")
    try:
        api = Api(connect(None, None)[0], patience=_PATIENCE)
    except NotReady as error:
        raise NotReadyError(f"the status of pipeline {said}: {error}") from error

    def show(status: Mapping[str, Any]) -> None:
        try:
            found = api.patch(PIPELINE, namespace, name, {"status": status}, "status")
        except ApiError as error:
            raise NotReadyError(f"the status of pipeline {said}: {error}") from error
        if found is None:
            raise UsageError(f"the status of pipeline {said}: {_GONE}")

    return show


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
