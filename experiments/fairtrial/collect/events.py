"""CloudEvents of Seldon's request logger, read. Pure: bytes in, what is to be kept out."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import orjson

from fairtrial.collect.payloads import read_answered, read_unit

_TYPES = {
    "io.seldon.serving.inference.request": "request",
    "io.seldon.serving.inference.response": "response",
    "io.seldon.serving.feedback": "feedback",
}
_LONGEST_NAME = 256  # characters of an id or a name
_LONGEST_TRUTH = 1024
_NEEDED = ("ce-type", "ce-requestid", "ce-inferenceservicename", "ce-endpoint", "ce-time")


class Malformed(ValueError):
    """What came is no event, or no feedback; the message says in a sentence what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Half:
    """One side of an exchange: the request (`asked` is known) or the response (`answered` is)."""

    request_id: str
    deployment: str  # namespace/name
    arm: str
    asked: int | None = None  # microseconds since the epoch
    unit: str | None = None
    answered: int | None = None
    status: int | None = None
    prediction: str | None = None  # a JSON scalar
    form: int = 0


@dataclass(frozen=True, slots=True)
class Feedback:
    """What was later known of a request: a reward, the truth, or both, as JSON scalars."""

    request_id: str
    reward: str | None = None
    truth: str | None = None


Event: TypeAlias = Half | Feedback


def read_event(headers: Mapping[str, str], body: bytes, unit: str | None) -> Event:
    """The event of a POST, in binary or in structured mode. `headers` have names in lower case.

    unit: where a request names its unit, see `payloads.read_unit`. Raises Malformed.
    """
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "application/cloudevents+json":
        headers, body = _structured(body)
    elif content_type.startswith("application/cloudevents-batch"):
        raise Malformed("batches of CloudEvents are not taken; post each event by itself")
    for name in _NEEDED:
        if not headers.get(name):
            raise Malformed(f"the event has no {name[3:]} (header {name.title()})")
    kind = _TYPES.get(headers["ce-type"])
    if kind is None:
        raise Malformed(f"events of type {headers['ce-type'][:100]} are not taken; {', '.join(_TYPES)} are")
    request_id = _name(headers["ce-requestid"], "request id")
    if kind == "feedback":
        return _logged_feedback(request_id, body)
    namespace = headers.get("ce-namespace") or "default"
    deployment = _name(f"{namespace}/{headers['ce-inferenceservicename']}", "deployment")
    arm, moment = _name(headers["ce-endpoint"], "endpoint"), _moment(headers["ce-time"])
    if kind == "request":
        found = read_unit(body, unit)
        return Half(
            request_id, deployment, arm, asked=moment, unit=found and _clean(found, "the request's unit")
        )
    status, prediction, form = read_answered(body)
    return Half(request_id, deployment, arm, answered=moment, status=status, prediction=prediction, form=form)


def read_feedback(body: bytes) -> Feedback:
    """`{"id": ..., "reward": number}` or `{"id": ..., "truth": scalar}`, or both. Raises Malformed."""
    try:
        document: Any = orjson.loads(body)
    except ValueError as error:
        raise Malformed(f"the feedback is not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("id"), str) or not document["id"]:
        raise Malformed('feedback is an object with the request\'s "id", and its "reward" or its "truth"')
    strange = sorted(set(document) - {"id", "reward", "truth"})
    if strange:
        raise Malformed(f'feedback has "id", "reward" and "truth", and no "{_clean(strange[0], "a field")}"')
    reward, truth = document.get("reward"), document.get("truth")
    if reward is None and truth is None:
        raise Malformed('feedback needs a "reward" or a "truth"; a reward of 0 counts')
    return Feedback(_name(document["id"], "id"), _reward(reward), _truth(truth))


def _structured(body: bytes) -> tuple[dict[str, str], bytes]:
    try:
        document: Any = orjson.loads(body)
    except ValueError as error:
        raise Malformed(f"the event is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Malformed("an event in structured mode is a JSON object")
    headers = {f"ce-{name}": value for name, value in document.items() if isinstance(value, str)}
    if "data_base64" in document:
        try:
            return headers, base64.b64decode(document["data_base64"], validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise Malformed(f"data_base64 of the event is not base64: {error}") from error
    data = document.get("data")
    return headers, data.encode() if isinstance(data, str) else orjson.dumps(data)


def _logged_feedback(request_id: str, body: bytes) -> Feedback:
    """Seldon's own feedback: of the request that its `response` is the answer to. No reward is one of 0."""
    try:
        document: Any = orjson.loads(body)
        meta = (document.get("response") or {}).get("meta") or {}
        reward = document.get("reward", 0.0)
        puid = meta.get("puid") or request_id
    except (ValueError, AttributeError) as error:
        raise Malformed(f"the feedback cannot be read: {error}") from error
    if not isinstance(puid, str):
        raise Malformed("the puid of the feedback's response is no text")
    return Feedback(_name(puid, "puid"), _reward(reward))


def _reward(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Malformed("a reward is a finite number")
    return orjson.dumps(float(value)).decode()


def _truth(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str | int | float):
        raise Malformed("a truth is a text, a number, true or false")
    scalar = orjson.dumps(_clean(value, "the truth") if isinstance(value, str) else value).decode()
    if len(scalar) > _LONGEST_TRUTH:
        raise Malformed(f"a truth has at most {_LONGEST_TRUTH} characters")
    return scalar


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Malformed(f"the event's time is no time: {text[:50]}") from error
    if moment.tzinfo is None:
        raise Malformed(f"the event's time has no time zone: {text[:50]}")
    return round(moment.timestamp() * 1e6)


def _name(text: str, what: str) -> str:
    if len(text) > _LONGEST_NAME:
        raise Malformed(f"the {what} has more than {_LONGEST_NAME} characters")
    return _clean(text, f"the {what}")


def _clean(text: str, what: str) -> str:
    """PostgreSQL has no NUL in a text, so that one event would keep all others of its batch out."""
    if "\x00" in text:
        raise Malformed(f"{what} has a NUL character")
    return text
