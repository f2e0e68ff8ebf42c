"""Whatever apprise knows: chats, mail, pagers, by its URLs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairtrial.errors import UsageError
from fairtrial.followers.interface import AwayError
from fairtrial.notify.message import Message

if TYPE_CHECKING:
    from apprise import Apprise


class AppriseNotifier:
    """See `Notifier`. Apprise says only whether all of them took it."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Raises UsageError; the message has no URL, for they hold secrets."""
        try:
            from apprise import Apprise
        except ImportError as error:
            raise UsageError("apprise is not installed: pip install 'fairtrial[notify]'") from error
        # It logs what it does, addresses and all.
        log = logging.getLogger("apprise")
        log.addHandler(logging.NullHandler())
        log.propagate = False
        self._apprise: Apprise = Apprise()
        for number, url in enumerate(urls, 1):
            if not self._apprise.add(url):
                which = f" {number} of {len(urls)}" if len(urls) > 1 else ""
                raise UsageError(
                    f"apprise knows no such URL as that given{which}; try it with its own command"
                )
        self._where = ", ".join(sorted({str(url).partition(":")[0] for url in urls}))

    def send(self, message: Message) -> None:
        if not self._apprise.notify(title=message.title, body=message.text):
            raise AwayError(f"apprise could not deliver the event {message.event} ({self._where})")
