"""What the watch asks of a trigger that it polls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fairtrial.delivery.events import Event


@dataclass(frozen=True)
class Polled:
    """Kept together: what was seen is in the inbox exactly when the cursor has moved past it."""

    events: Sequence[Event]
    cursor: str | None  # given back at the next poll, also after a restart


class Trigger(Protocol):
    @property
    def name(self) -> str:
        """As in the pipeline file; the cursor is kept under it."""
        ...

    def due(self, now: float, last: float | None) -> float:
        """When it is to be polled: seconds since the epoch, at or before `now` for at once.

        last: when it was polled last in this process; None for not yet.
        """
        ...

    def poll(self, now: float, cursor: str | None) -> Polled:
        """See what happened since. Blocks for a bounded time.

        cursor: what the last poll gave; None for the first one ever. Raises NotReadyError in words: nothing
        is lost, it is polled again.
        """
        ...
