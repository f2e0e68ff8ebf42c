"""The time that a whole run may take: spent by the clock, and what is left fixed in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fairtrial.clock import Clock
from fairtrial.journal.entries import Kind
from fairtrial.journal.interface import RunJournal
from fairtrial.planning.budget import Bound, bound_of, end_of_load
from fairtrial.planning.plan import Plan


class Budget:
    """`seconds` from `began` on, on the clock."""

    def __init__(self, seconds: float, began: float, clock: Clock) -> None:
        self._seconds = seconds
        self._began = began
        self._clock = clock

    def fixed(self, plan: Plan, journal: RunJournal) -> Bound:
        """What is left for the load, which stands in the journal from now on. Raises NotReadyError."""
        bound = bound_of(plan, self._seconds, self._clock.now() - self._began)
        journal.append(Kind.BOUND, asdict(bound))
        return bound

    def is_over(self, plan: Plan) -> bool:
        """Whether the load must end now for the run to be over in time."""
        return self._clock.now() - self._began > end_of_load(plan.experiment, self._seconds)


def budget_of(started: Mapping[str, Any], began: float, clock: Clock) -> Budget | None:
    """That of a run, if it has one.

    started: the journal's first entry. began: a run that was cut off before has its whole budget again.
    """
    seconds = started.get("budget")
    return Budget(seconds, began, clock) if seconds is not None else None


def bound_in(journal: RunJournal) -> Bound | None:
    """What a budget came to, if there was one and the arms were ready."""
    entry = journal.last(Kind.BOUND)
    return Bound(**entry.body) if entry is not None else None
