"""What is asked of a way to notify somebody, whichever it is."""

from __future__ import annotations

from typing import Protocol

from fairtrial.notify.message import Message


class Notifier(Protocol):
    def send(self, message: Message) -> None:
        """Raises AwayError, RefusedError; neither tells the address, which may be a secret."""
        ...
