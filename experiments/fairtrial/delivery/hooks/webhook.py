"""The event, posted to a URL."""

from __future__ import annotations

from collections.abc import Callable

from fairtrial.delivery.events import Event
from fairtrial.delivery.hooks.http import Service
from fairtrial.delivery.hooks.naming import as_json, idempotency_key

_CONFLICT = 409


class WebhookHook:
    """See `Hook`. The Idempotency-Key is the event's: a receiver that heeds it starts nothing twice."""

    def __init__(self, url: Callable[[], str]) -> None:
        """url: read at each use, for it may be a secret. Raises UsageError."""
        self._url = url

    def start(self, event: Event, cut_off: Callable[[], bool]) -> str:
        """See `Hook`. Any answer of 2xx will do; 409 says that this key is worked on already."""
        del cut_off  # it does not take long
        service = Service("the webhook", self._url())
        answer = service.ask("POST", json=as_json(event), headers={"Idempotency-Key": idempotency_key(event)})
        if answer.status_code == _CONFLICT:
            return f"{service.where} knows of it already"
        if not answer.is_success:
            raise service.refused(answer, f"to begin what {event.trigger} starts")
        return f"{service.where} was told"
