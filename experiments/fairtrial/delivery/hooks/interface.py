"""What is asked of a way to start a retraining."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fairtrial.delivery.events import Event


class Hook(Protocol):
    def start(self, event: Event, cut_off: Callable[[], bool]) -> str:
        """Start it for this event, once: its key is handed on, and a repeated call finds what was begun.

        What was started, in words ("run manual__7 of the DAG train_wine").

        cut_off: whether something more urgent waits. What takes long asks it, and raises AbortedError.
        Raises NotReadyError for what may pass, UsageError for what will not; neither tells a secret.
        """
        ...
