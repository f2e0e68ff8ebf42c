"""What somebody posts to us, and how it is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Protocol

from fairtrial.delivery.events import Event


class RefusedError(Exception):
    """The message is no event of ours; the sentence is the answer to its sender."""

    def __init__(self, sentence: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(sentence)
        self.status = status


class Receiver(Protocol):
    """One path of the listener."""

    @property
    def signed(self) -> bool:
        """Whether it knows its senders by their signatures; the others must show the listener's token."""
        ...

    def take(self, headers: Mapping[str, str], body: bytes, now: float) -> Sequence[Event]:
        """The events that a message tells, for all triggers that wait for them. From any thread.

        headers: names in lower case. Raises RefusedError.
        """
        ...


def parse_json(body: bytes) -> Any:
    """What can be kept as JSON again. Raises RefusedError."""
    try:
        found: Any = json.loads(body, parse_constant=_refuse)
        # Halves of characters are no text, and 1e999 is no number that could be written again.
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise RefusedError(f"the body is no JSON: {why}") from error
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def demand_type(headers: Mapping[str, str], wanted: str) -> None:
    """Raises RefusedError. What browsers send across sites without asking first is thereby refused too."""
    if media_type(headers) != wanted:
        said = media_type(headers) or "none"
        raise RefusedError(
            f"expected Content-Type {wanted}, got {said[:100]}", HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        )


def media_type(headers: Mapping[str, str]) -> str:
    """Of the body, without parameters; "" where it is not said."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_time(text: str) -> float | None:
    """Seconds since the epoch, of a time of RFC 3339; None if it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo is not None and 1 < found.year < 9999 else None


def in_words(time: float) -> str:
    """A time of RFC 3339, to the microsecond."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="microseconds")
