"""The steps of a delivery that are done, and what came of each: a delivery that was cut off goes on there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fairtrial.clock import Clock
from fairtrial.delivery.inbox import Taken
from fairtrial.delivery.state import State


class Steps:
    """Of one event. A step's effect may be made twice, when the process dies before this knows of it."""

    def __init__(self, state: State, taken: Taken, clock: Clock) -> None:
        self._state = state
        self._seq = taken.seq
        self._clock = clock

    def once(self, step: str, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """What `make` returns (JSON), made now or by an earlier process. Raises what it does, StateError."""
        known = self.done(step)
        if known is not None:
            return known
        return self.again(step, make)

    def again(
        self, step: str, make: Callable[[], Mapping[str, Any]], *, forget: Sequence[str] = ()
    ) -> Mapping[str, Any]:
        """The same, in place of what was known of it. forget: steps that rest on it, to be made anew."""
        result = make()
        with self._state.transaction() as connection:
            for each in forget:
                connection.execute("DELETE FROM steps WHERE event = ? AND step = ?", (self._seq, each))
            connection.execute(
                "INSERT OR REPLACE INTO steps (event, step, time, result) VALUES (?, ?, ?, ?)",
                (self._seq, step, self._clock.now(), json.dumps(result)),
            )
        return result

    def done(self, step: str) -> Mapping[str, Any] | None:
        """What came of it; None if it is not known to be done."""
        with self._state.explained():
            found = self._state.connection.execute(
                "SELECT result FROM steps WHERE event = ? AND step = ?", (self._seq, step)
            ).fetchone()
        return json.loads(found[0]) if found else None
