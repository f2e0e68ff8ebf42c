"""Events that wait, are worked on, or are done with: each kept before anybody is told that it came."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.state import State

_EVENT = "seq, key, happening, trigger, time, body, outcome"


@dataclass(frozen=True)
class Taken:
    """An event in the inbox."""

    seq: int
    event: Event
    outcome: Mapping[str, Any] | None  # what became of it; None while it waits


class Inbox:
    """Of one pipeline, for one thread."""

    def __init__(self, state: State) -> None:
        self._state = state

    def put(self, events: Iterable[Event], *, cursor: tuple[str, str] | None = None) -> list[Event]:
        """Keep events, durably, and a trigger's cursor with them; those that were not there before.

        cursor: the trigger's name, and what it gives to its next poll. Raises StateError.
        """
        fresh: list[Event] = []
        with self._state.transaction() as connection:
            for event in events:
                made = connection.execute(
                    "INSERT OR IGNORE INTO events (key, happening, trigger, time, body) "
                    "VALUES (?, ?, ?, ?, ?)",
                    (event.key, event.happening.value, event.trigger, event.time, json.dumps(event.body)),
                )
                if made.rowcount:
                    fresh.append(event)
            if cursor is not None:
                connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", cursor)
        return fresh

    def cursor(self, trigger: str) -> str | None:
        with self._state.explained():
            found = self._state.connection.execute(
                "SELECT value FROM cursors WHERE trigger = ?", (trigger,)
            ).fetchone()
        return found[0] if found else None

    def waiting(self) -> list[Taken]:
        """In the order in which they came."""
        return self._select("WHERE outcome IS NULL ORDER BY seq")

    def all(self) -> list[Taken]:
        return self._select("ORDER BY seq")

    def get(self, key: str) -> Taken | None:
        found = self._select("WHERE key = ?", key)
        return found[0] if found else None

    def finish(self, taken: Taken, outcome: Mapping[str, Any]) -> None:
        """It is done with; JSON says what became of it."""
        with self._state.transaction() as connection:
            connection.execute(
                "UPDATE events SET outcome = ? WHERE seq = ? AND outcome IS NULL",
                (json.dumps(outcome), taken.seq),
            )

    def _select(self, rest: str, *values: str) -> list[Taken]:
        with self._state.explained():
            rows = self._state.connection.execute(f"SELECT {_EVENT} FROM events {rest}", values).fetchall()
        return [
            Taken(
                seq,
                Event(key, Happening(happening), trigger, time, json.loads(body)),
                json.loads(outcome) if outcome else None,
            )
            for seq, key, happening, trigger, time, body, outcome in rows
        ]
