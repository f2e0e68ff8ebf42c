"""What happens to a pipeline, and what is to be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Happening(StrEnum):
    CHALLENGER = "challenger"  # a version is to be tried; body: version
    ALERT = "alert"  # what serves degrades, somebody says; body: summary, and what the sender told
    EXPIRED = "expired"  # what serves is older than it may be; body: version, age (seconds)
    SCHEDULED = "scheduled"  # a time has come; body: at (seconds since the epoch)
    MOVED = "moved"  # somebody else gave the champion's alias away; body: version
    UNDO = "undo"  # a person wants the last good version back; body: by, reason, to (a version or null)


@dataclass(frozen=True)
class Event:
    """Told once or many times, it is one event by its key."""

    key: str  # e.g. "new-version:wine:7:1"; unique within a pipeline
    happening: Happening
    trigger: str  # its name in the pipeline file; "undo" for a person
    time: float  # seconds since the epoch: when it happened, as far as is known
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])  # JSON
