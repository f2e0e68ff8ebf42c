"""What dies is started again: soon, but not for ever."""

from __future__ import annotations

from collections.abc import Callable

from fairtrial_graphs.backends.interface import Incident, NotReady
from fairtrial_graphs.backends.local.process import GuardedProcess

RESTARTS = 5  # in a row
FORGIVEN_AFTER = 60.0  # seconds of life after which a death is the first in a row again
_FIRST_DELAY = 0.5  # seconds before the second restart in a row; doubled each time. The first is at once


class Supervised:
    """One process under watch. `watch` is called often, and does what is due."""

    def __init__(
        self,
        what: str,
        predictor: str | None,
        process: Callable[[], GuardedProcess | None],
        restart: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """`what` is how messages call it; `restart` may raise NotReady or OSError."""
        self._what = what
        self._predictor = predictor
        self._process = process
        self._restart = restart
        self._clock = clock
        self._started = clock()
        self._in_a_row = 0
        self._death = ""
        self._due: float | None = None
        self.given_up = False

    def is_down(self) -> bool:
        """Whether the process has ended, or has yet to be started again."""
        process = self._process()
        return self._due is not None or process is None or process.exit_code() is not None

    def watch(self) -> Incident | None:
        """Look, and start again what has died and waited long enough. Returns what there is to tell."""
        if self.given_up:
            return None
        if self._due is None:
            process = self._process()
            if process is None or process.exit_code() is None:
                return None
            return self._died(process.describe_end())
        if self._clock() < self._due:
            return None
        self._due = None
        try:
            self._restart()
        except (NotReady, OSError) as error:
            return self._died(f"could not be started again: {error}")
        self._started = self._clock()
        message = f"{self._what} {self._death}; started again ({self._in_a_row} of {RESTARTS})"
        return Incident(self._predictor, message, restarted=True)

    def _died(self, how: str) -> Incident | None:
        self._death = how
        if self._clock() - self._started > FORGIVEN_AFTER:
            self._in_a_row = 0
        self._in_a_row += 1
        if self._in_a_row > RESTARTS:
            self.given_up = True
            message = f"{self._what} {how}; given up after {RESTARTS} restarts in a row"
            return Incident(self._predictor, message, restarted=False)
        delay = 0.0 if self._in_a_row == 1 else _FIRST_DELAY * 2 ** (self._in_a_row - 2)
        self._due = self._clock() + delay
        return None
