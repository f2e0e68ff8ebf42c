"""What wakes a run that waits, and what ends it from outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class StoppedError(BaseException):
    """This process is to leave the run as it is, for the next one to take up. No error of the run's.

    Of no Exception's family, so that nothing that handles the run's own errors keeps it.
    """


class Wake:
    """One run's doorbell. Rung when there is something to look at: a change of its resource, or the end."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self._stopped = False

    def ring(self) -> None:
        self._rung.set()

    def stop(self) -> None:
        self._stopped = True
        self._rung.set()

    def check(self) -> None:
        """Raises StoppedError."""
        if self._stopped:
            raise StoppedError

    def wait(self, seconds: float) -> None:
        """Return when it is rung, or after so long. Raises StoppedError."""
        self._rung.wait(seconds)
        self._rung.clear()
        self.check()


class RunClock:
    """The clock of a run. Its sleep is longer than asked for, so that hundreds of runs may wait.

    What they wait for rings.
    """

    def __init__(self, wake: Wake, patience: float, now: Callable[[], float] = time.time) -> None:
        """patience: seconds between two looks at what does not ring, such as the evidence."""
        self._wake = wake
        self._patience = patience
        self._now = now

    def now(self) -> float:
        return self._now()

    def sleep(self, seconds: float) -> None:
        self._wake.wait(max(seconds, self._patience))
