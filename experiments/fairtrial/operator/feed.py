"""Where a run's observations come from, and that an outage there is no evidence against anybody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from fairtrial_loadtests.parts import next_arrival
from fairtrial_loadtests.plan import LoadPlan

from fairtrial.clock import Clock
from fairtrial.controller.load_session import StartableLoad
from fairtrial.errors import ExitCode
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.interface import RunJournal
from fairtrial.planning.plan import Plan

#: Told whether observations come in (None: not known yet), why in one word, and in a sentence.
TellEvidence = Callable[[bool | None, str, str], None]

#: Ends that no patience mends: the load is over, or what it was told is wrong.
_FINAL = (int(ExitCode.OK), int(ExitCode.USAGE))
_PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)  # seconds


class AwayError(Exception):
    """What a run had observed cannot be read again now; the message says why. The run waits for it."""


class Feed(Protocol):
    """The observations of one run, as parts in its folder."""

    def restore(self) -> None:
        """Write the parts that an earlier process had read: the same ones, in the same order.

        Raises AwayError.
        """
        ...

    def load(self, plan: LoadPlan) -> StartableLoad:
        """What brings the parts that follow, where these are not of users' own requests."""
        ...


FeedFactory = Callable[[Plan, RunFolder, RunJournal, Clock], Feed]


class _Around:
    """A load around another, which does the work."""

    def __init__(self, load: StartableLoad) -> None:
        self._load = load

    def start(self) -> None:
        self._load.start()

    @property
    def alive(self) -> bool:
        return self._load.alive

    @property
    def returncode(self) -> int | None:
        return self._load.returncode

    @property
    def error(self) -> str:
        return self._load.error

    def incidents(self) -> Sequence[str]:
        return self._load.incidents()

    def stop(self) -> int:
        return self._load.stop()


class WatchedLoad(_Around):
    """Tells whether observations come in, as a load is polled."""

    def __init__(
        self, load: StartableLoad, tell: TellEvidence, now: Callable[[], float], quiet_limit: float
    ) -> None:
        """quiet_limit: seconds without observations after which it is told that none come."""
        super().__init__(load)
        self._tell = tell
        self._now = now
        self._quiet_limit = quiet_limit
        self._last_seen = now()

    def poll(self) -> Sequence[Path]:
        parts = self._load.poll()
        now = self._now()
        if parts:
            self._last_seen = now
            self._tell(True, "Flowing", "observations come in")
        elif trouble := self._load.error:
            self._tell(False, "SourceUnavailable", f"{trouble}; the run waits for it")
        elif now - self._last_seen > self._quiet_limit:
            quiet = f"no observation for {self._quiet_limit:.0f} s"
            self._tell(False, "NoEvidence", f"{quiet}; the run waits for some")
        return parts


class PatientLoad(_Around):
    """A load that is begun again when it dies: its source may be away, and the run waits for it."""

    def __init__(
        self, plan: LoadPlan, new_load: Callable[[LoadPlan], StartableLoad], now: Callable[[], float]
    ) -> None:
        super().__init__(new_load(plan))
        self._plan = plan
        self._new_load = new_load
        self._now = now
        self._deaths = 0
        self._again_at: float | None = None

    @property
    def alive(self) -> bool:
        return self._load.alive or self._load.returncode not in _FINAL

    def poll(self) -> Sequence[Path]:
        dead = not self._load.alive and self._load.returncode not in _FINAL
        parts = self._load.poll()
        if parts:
            self._deaths = 0
        if dead:
            self._mend(self._now())
        return parts

    def _mend(self, now: float) -> None:
        if self._again_at is None:
            self._again_at = now + _PAUSES[min(self._deaths, len(_PAUSES) - 1)]
            self._deaths += 1
        if now >= self._again_at:
            self._again_at = None
            arrival, part = next_arrival(self._plan.output)
            self._load = self._new_load(replace(self._plan, first_arrival=arrival, first_part=part))
            self._load.start()
