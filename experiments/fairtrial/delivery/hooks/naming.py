"""What an event is called on the other side, so that whoever is told of it twice can see that."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from urllib.parse import quote

from fairtrial.delivery.events import Event

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST_HEADER = 255
_LONGEST_NAME = 80


def idempotency_key(event: Event) -> str:
    """The event's key, as a header can have it: at most 255 characters of ASCII, none of them a space."""
    quoted = quote(event.key, safe="/:@,+=~")
    return quoted if len(quoted) <= _LONGEST_HEADER else f"sha256-{_digest(event.key)}"


def name_of(event: Event) -> str:
    """For a run or a file: letters, digits, dots, dashes. It ends with a digest, so no two keys share one."""
    readable = _UNFIT.sub("-", event.key)[:_LONGEST_NAME].strip("-.")
    return f"fairtrial-{readable}-{_digest(event.key)[:12]}"


def as_json(event: Event) -> dict[str, object]:
    """What a hook is told, as docs/triggers.md has it."""
    return {
        "key": event.key,
        "happening": event.happening.value,
        "trigger": event.trigger,
        "time": datetime.fromtimestamp(event.time, UTC).isoformat(timespec="milliseconds"),
        "body": json.loads(json.dumps(event.body)),
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
