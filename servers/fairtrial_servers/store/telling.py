"""How far a model has come in, as lines now and then: for logs."""

from __future__ import annotations

import time
from collections.abc import Callable

from fairtrial_servers.store.interface import Progress
from fairtrial_servers.store.settings import in_words

_EVERY = 10.0


def lines_now_and_then(
    what: str, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
) -> Progress:
    """A line at the beginning, and one every ten seconds. what: the address as it may be shown."""
    due = float("-inf")

    def told(done: int, total: int | None) -> None:
        nonlocal due
        if clock() < due:
            return
        due = clock() + _EVERY
        write(f"fetching {what}: {in_words(done)}" + (f" of {in_words(total)}" if total else ""))

    return told
