"""Alerts of Alertmanager, as its webhook tells them (version 4 of its payload)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.triggers.labels import matches
from fairtrial.delivery.triggers.told import RefusedError, demand_type, in_words, parse_json, parse_time

_VERSION = "4"


class Alerts:
    """See `Receiver`. A firing is one event, however often Alertmanager repeats it; its end is none."""

    signed = False

    def __init__(self, triggers: Mapping[str, Mapping[str, str]]) -> None:
        """triggers: by name, the labels that each waits for."""
        self._triggers = triggers

    def take(self, headers: Mapping[str, str], body: bytes, now: float) -> Sequence[Event]:
        """See `Receiver`."""
        del now  # an alert says itself since when it fires
        demand_type(headers, "application/json")
        firing = list(_firing(parse_json(body)))
        return [
            _event(name, alert)
            for alert in firing
            for name, wanted in self._triggers.items()
            if matches(alert["labels"], wanted)
        ]


def _firing(payload: Any) -> Iterator[dict[str, Any]]:
    """Each alert that fires, checked. Raises RefusedError: for all of them, since nothing is half taken."""
    if not isinstance(payload, dict) or not isinstance(payload.get("alerts"), list):
        raise RefusedError("expected the payload of Alertmanager's webhook, with a list of alerts")
    if payload.get("version") != _VERSION:
        raise RefusedError(f"expected version {_VERSION} of Alertmanager's payload")
    for i, alert in enumerate(payload["alerts"]):
        where = f"alerts.{i}"
        if not isinstance(alert, dict):
            raise RefusedError(f"{where}: expected an alert")
        if alert.get("status") not in ("firing", "resolved"):
            raise RefusedError(f"{where}.status: expected firing or resolved")
        for field in ("labels", "annotations"):
            if not _are_texts(alert.setdefault(field, {})):
                raise RefusedError(f"{where}.{field}: expected texts by name")
        fingerprint = alert.get("fingerprint")
        if not isinstance(fingerprint, str) or not 0 < len(fingerprint) <= 64:
            raise RefusedError(f"{where}.fingerprint: expected a text")
        starts = alert.get("startsAt")
        if not isinstance(starts, str) or parse_time(starts) is None:
            raise RefusedError(f"{where}.startsAt: expected a time such as 2026-11-28T12:00:00Z")
        if alert["status"] == "firing":
            yield alert


def _are_texts(labels: Any) -> bool:
    return isinstance(labels, dict) and all(isinstance(value, str) for value in labels.values())


def _event(trigger: str, alert: Mapping[str, Any]) -> Event:
    began = parse_time(alert["startsAt"])
    assert began is not None, "checked"
    notes, labels = alert["annotations"], alert["labels"]
    summary = notes.get("summary") or notes.get("description") or labels.get("alertname", "an alert")
    return Event(
        key=f"{trigger}:{alert['fingerprint']}:{in_words(began)}",
        happening=Happening.ALERT,
        trigger=trigger,
        time=began,
        body={
            "summary": summary,
            "labels": labels,
            "annotations": notes,
            "startsAt": alert["startsAt"],
            "fingerprint": alert["fingerprint"],
        },
    )
