"""CloudEvents over HTTP, 1.0 and 0.3: binary, structured, and in batches."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote

from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.triggers.told import RefusedError, media_type, parse_json, parse_time

_STRUCTURED = "application/cloudevents+json"
_BATCH = "application/cloudevents-batch+json"
_VERSIONS = ("1.0", "0.3")
_REQUIRED = ("id", "source", "type")
_LONGEST = 1000  # characters of an attribute


@dataclass(frozen=True)
class Wanted:
    """What a trigger waits for. A * at the end is any."""

    type: str
    source: str | None  # None: any

    def matches(self, attributes: Mapping[str, str]) -> bool:
        pairs = ((self.type, attributes["type"]), (self.source, attributes["source"]))
        return all(wanted is None or _is(wanted, said) for wanted, said in pairs)


class CloudEvents:
    """See `Receiver`. By their specification, two with the same source and id are one event."""

    signed = False

    def __init__(self, triggers: Mapping[str, Wanted]) -> None:
        """triggers: by name."""
        self._triggers = triggers

    def take(self, headers: Mapping[str, str], body: bytes, now: float) -> Sequence[Event]:
        """See `Receiver`."""
        return [
            _event(name, told, data, now)
            for told, data in _read(headers, body)
            for name, wanted in self._triggers.items()
            if wanted.matches(told)
        ]


def _is(wanted: str, said: str) -> bool:
    return said.startswith(wanted[:-1]) if wanted.endswith("*") else said == wanted


def _read(headers: Mapping[str, str], body: bytes) -> list[tuple[dict[str, str], Any]]:
    """Attributes and data of each. Raises RefusedError for all of them if one is wrong."""
    match media_type(headers):
        case media if media == _BATCH:
            batch = parse_json(body)
            if not isinstance(batch, list):
                raise RefusedError("expected a list of CloudEvents")
            return [_structured(each, f"{i}: ") for i, each in enumerate(batch)]
        case media if media == _STRUCTURED:
            return [_structured(parse_json(body), "")]
        case media if media.startswith("application/cloudevents"):
            raise RefusedError(
                f"expected CloudEvents as JSON, got {media[:100]}", HTTPStatus.UNSUPPORTED_MEDIA_TYPE
            )
        case media:
            prefix = "ce-"
            said = {name[len(prefix) :]: value for name, value in headers.items() if name.startswith(prefix)}
            if not said:
                raise RefusedError(f"expected a CloudEvent: ce- headers, or Content-Type {_STRUCTURED}")
            attributes = _checked({name: unquote(value) for name, value in said.items()}, "ce-")
            is_json = media == "application/json" or media.endswith("+json")
            return [(attributes, parse_json(body) if is_json and body else None)]


def _structured(told: Any, where: str) -> tuple[dict[str, str], Any]:
    if not isinstance(told, dict):
        raise RefusedError(f"{where}expected a CloudEvent, an object of JSON")
    data = told.get("data")
    if "data_base64" in told:
        try:
            decoded = base64.b64decode(str(told["data_base64"]), validate=True)
        except (binascii.Error, ValueError) as error:
            raise RefusedError(f"{where}data_base64: is no base64") from error
        content = str(told.get("datacontenttype", ""))
        data = parse_json(decoded) if content.partition(";")[0].endswith("json") else None
    attributes = {name: value for name, value in told.items() if name not in ("data", "data_base64")}
    return _checked(attributes, where), data


def _checked(said: Mapping[str, Any], where: str) -> dict[str, str]:
    """Those that we use. Raises RefusedError."""
    if said.get("specversion") not in _VERSIONS:
        raise RefusedError(f"{where}specversion: expected 1.0")
    for name in _REQUIRED:
        value = said.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
            raise RefusedError(f"{where}{name}: required, a text of at most {_LONGEST} characters")
    for name in ("time", "subject"):
        value = said.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > _LONGEST):
            raise RefusedError(f"{where}{name}: expected a text of at most {_LONGEST} characters")
    if said.get("time") is not None and parse_time(said["time"]) is None:
        raise RefusedError(f"{where}time: expected a time such as 2026-11-28T12:00:00Z")
    return {name: said[name] for name in (*_REQUIRED, "time", "subject") if said.get(name) is not None}


def _event(trigger: str, told: Mapping[str, str], data: Any, now: float) -> Event:
    time = parse_time(told["time"]) if "time" in told else None
    return Event(
        # Quoted, so that no colon of a source can make two pairs one key.
        key=f"{trigger}:{quote(told['source'], safe='/')}:{told['id']}",
        happening=Happening.ALERT,
        trigger=trigger,
        time=now if time is None else time,
        body={"summary": f"{told['type']} from {told['source']}", **told, "data": data},
    )
