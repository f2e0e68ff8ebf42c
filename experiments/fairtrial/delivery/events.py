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

    @property
    def summary(self) -> str:
        """In words, for the history."""
        return f"{self.trigger}: {self._what()}"

    def _what(self) -> str:
        said = self.body.get("summary")
        match self.happening:
            case Happening.CHALLENGER:
                return f"version {self.body['version']} is to be tried"
            case Happening.MOVED:
                return f"version {self.body['version']} has the alias of the one in service"
            case Happening.ALERT:
                return str(said or "an alert")
            case Happening.EXPIRED:
                return f"version {self.body['version']} is {float(self.body['age']) / 86400:.1f} days old"
            case Happening.SCHEDULED:
                return str(said or "its time has come")
            case Happening.UNDO:
                return "the last good version is wanted back"
