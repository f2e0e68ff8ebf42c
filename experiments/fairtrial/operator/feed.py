"""Where a run's observations come from, and that an outage there is no evidence against anybody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from fairtrial_loadtests.parts import next_arrival
from fairtrial_loadtests.plan import LoadPlan

from fairtrial.controller.load_session import StartableLoad
from fairtrial.errors import ExitCode
from fairtrial.journal.folder import RunFolder
from fairtrial.planning.plan import Plan

#: Told whether observations come in (None: not known yet), why in one word, and in a sentence.
TellEvidence = Callable[[bool | None, str, str], None]

#: Ends that no patience mends: the load is over, or what it was told is wrong.
_FINAL = (int(ExitCode.OK), int(ExitCode.USAGE))
_PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)  # seconds


class Feed(Protocol):
    """The observations of one run, as parts in its folder."""

    def restore(self) -> None:
        """Write the parts that an earlier process had read: the same ones, in the same order.

        Raises NotReadyError when they cannot be read now.
        """
        ...

    def load(self, plan: LoadPlan) -> StartableLoad:
        """What brings the parts that follow."""
        ...


FeedFactory = Callable[[Plan, RunFolder], Feed]


class PatientLoad:
    """A load that is begun again when it dies: its source may be away, and the run waits for it."""

    def __init__(
        self,
        plan: LoadPlan,
        new_load: Callable[[LoadPlan], StartableLoad],
        tell: TellEvidence,
        now: Callable[[], float],
        quiet_limit: float,
    ) -> None:
        """quiet_limit: seconds without observations after which it is told that none come."""
        self._plan = plan
        self._new_load = new_load
        self._tell = tell
        self._now = now
        self._quiet_limit = quiet_limit
        self._load = new_load(plan)
        self._deaths = 0
        self._again_at: float | None = None
        self._last_seen = now()

    def start(self) -> None:
        self._load.start()

    @property
    def alive(self) -> bool:
        return self._load.alive or self._load.returncode not in _FINAL

    @property
    def returncode(self) -> int | None:
        return self._load.returncode

    @property
    def error(self) -> str:
        return self._load.error

    def poll(self) -> Sequence[Path]:
        over = not self._load.alive
        parts = self._load.poll()
        now = self._now()
        if parts:
            self._last_seen, self._deaths = now, 0
            self._tell(True, "Flowing", "observations come in")
        if over and self._load.returncode not in _FINAL:
            self._mend(now)
        elif not over and (trouble := self._load.error):
            self._tell(False, "SourceUnavailable", f"{trouble}; the run waits for it")
        elif not parts and now - self._last_seen > self._quiet_limit:
            self._tell(
                False, "NoEvidence", f"no observation for {self._quiet_limit:.0f} s; the run waits for some"
            )
        return parts

    def stop(self) -> int:
        return self._load.stop()

    def _mend(self, now: float) -> None:
        if self._again_at is None:
            pause = _PAUSES[min(self._deaths, len(_PAUSES) - 1)]
            self._deaths += 1
            self._again_at = now + pause
            self._tell(False, "SourceUnavailable", f"{self._load.error}; the run waits for it")
        if now >= self._again_at:
            self._again_at = None
            arrival, part = next_arrival(self._plan.output)
            self._load = self._new_load(replace(self._plan, first_arrival=arrival, first_part=part))
            self._load.start()
