"""Ledgers for tests: made in a line, and tampered with."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from fairtrial.clock import Clock
from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.inbox import Inbox, Taken
from fairtrial.delivery.ledger import Action, Entry, Ledger
from fairtrial.delivery.state import State


def taken(state: State, key: str, happening: Happening = Happening.ALERT, **body: object) -> Taken:
    """An event that waits in the inbox."""
    inbox = Inbox(state)
    inbox.put([Event(key, happening, key.partition(":")[0], 1_750_000_000.0, body)])
    found = inbox.get(key)
    assert found is not None
    return found


def write(state: State, clock: Clock, *what: tuple[Action, str | None, str | None]) -> list[Entry]:
    """Each with an event of its own, a minute apart: action, version, the one before."""
    ledger = Ledger(state, "wine", clock)
    begun = len(ledger.entries())
    written: list[Entry] = []
    for number, (action, version, before) in enumerate(what, begun + 1):
        event = taken(state, f"test:{number}")
        entry = ledger.close_with(
            event, action, version=version, before=before, why=f"reason {number}", by="test"
        )
        written.append(entry)
        clock.sleep(60)
    return written


def tamper(path: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    """As somebody does who owns the file, and knows of its triggers."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("DROP TRIGGER ledger_update")
        connection.execute("DROP TRIGGER ledger_delete")
        change(connection)
    connection.close()
