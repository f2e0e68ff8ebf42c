"""Kubernetes Events of a resource: what `kubectl describe` shows of its history."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from typing import Any, Literal

from fairtrial_graphs.backends.kubernetes.api import Api
from fairtrial_graphs.backends.kubernetes.errors import ApiError
from fairtrial_graphs.backends.kubernetes.kinds import Kind

from fairtrial.operator.conditions import timestamp
from fairtrial.operator.resource import EXPERIMENT, Resource, words

_EVENT = Kind("Event", "v1", "events")
_COMPONENT = "fairtrial-operator"
_LONGEST = 1024  # characters that the API server takes
_log = logging.getLogger(__name__)


class Events:
    """Tells one cluster. What cannot be told is logged, and keeps no run from going on."""

    def __init__(
        self, api: Api, operator: str, now: Callable[[], float] = time.time, about: Kind = EXPERIMENT
    ) -> None:
        """operator: the name of this replica. about: the kind of resources."""
        self._api = api
        self._about = about
        self._operator = operator
        self._now = now

    def tell(
        self,
        resource: Resource,
        reason: str,
        message: str,
        *,
        kind: Literal["Normal", "Warning"] = "Normal",
        once: str,
    ) -> None:
        """once: of events with the same only the first is told, however often an effect is made."""
        at = timestamp(self._now())
        digest = hashlib.sha256(f"{resource.uid}/{reason}/{once}".encode()).hexdigest()[:16]
        namespace, name = resource.key
        event: dict[str, Any] = {
            "apiVersion": _EVENT.api_version,
            "kind": _EVENT.name,
            "metadata": {"name": f"{name}.{digest}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": self._about.api_version,
                "kind": self._about.name,
                "namespace": namespace,
                "name": name,
                "uid": resource.uid,
                "resourceVersion": resource.version,
            },
            "type": kind,
            "reason": reason,
            "message": message[:_LONGEST],
            "source": {"component": _COMPONENT},
            "reportingComponent": _COMPONENT,
            "reportingInstance": self._operator,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }
        _log.info("%s: %s: %s", words(resource.key), reason, message)
        try:
            self._api.create(_EVENT, event)
        except ApiError as error:
            _log.warning("%s: an event could not be told: %s", words(resource.key), error)
