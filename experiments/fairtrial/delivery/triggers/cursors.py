"""What a trigger remembers from poll to poll, as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def write(kind: str, **fields: Any) -> str:
    return json.dumps({"kind": kind, **fields}, sort_keys=True)


def read(kind: str, cursor: str | None) -> Mapping[str, Any] | None:
    """None for none, and for that of another kind of trigger, which had the name before the file changed."""
    try:
        found: Any = json.loads(cursor) if cursor is not None else None
    except ValueError:  # that of an age is its last event's key
        return None
    return found if isinstance(found, dict) and found.get("kind") == kind else None
