"""From what the shares of a load record to what one process would have recorded.

Each share says how far it has come: a moment of the schedule before which it has told everything. What
comes before the least of these moments is complete, in order once it is sorted, and is cut where no
arrival of the whole schedule straddles. A share that lags holds back what comes after.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from fairtrial_loadtests.arrivals import Boundary, Schedule
from fairtrial_loadtests.observation import SCHEMA, Table


class Merger:
    """Merges the shares of one schedule from arrival `first` on.

    `boundary` is the moment, and the arrival, before which everything was given out.
    """

    def __init__(self, schedule: Schedule, first: int, shares: int) -> None:
        self.boundary = Boundary(-math.inf, first)
        self._reached = [self.boundary] * shares
        self._held: list[Table] = []
        self._boundaries = _boundaries(schedule, first)
        self._ahead: deque[Boundary] = deque()

    @property
    def reached(self) -> Sequence[Boundary]:
        """How far each share has come: all of it before that moment, and below that arrival, is here."""
        return self._reached

    def add(self, share: int, table: Table, reached: Boundary) -> None:
        """Take what a share recorded since it last told, times in seconds since the load's start."""
        if table.num_rows:
            self._held.append(table)
        self._reached[share] = reached

    def due(self) -> Table:
        """Take out what is complete, in order of intended time."""
        time = min(each.time for each in self._reached)
        arrival = min(each.arrival for each in self._reached)
        passed = self.boundary
        while (ahead := self._peek()) is not None and ahead.time <= time and ahead.arrival <= arrival:
            self.boundary = self._ahead.popleft()
        if self.boundary is passed or not self._held:
            return SCHEMA.empty_table()
        held = pa.concat_tables(self._held)
        times = held["time"].to_numpy()
        # Not `sort_by`, whose first call imports pandas: a second or two in which nothing is told.
        order = np.argsort(times, kind="stable")
        held = held.take(pa.array(order))
        before = int(np.searchsorted(times[order], self.boundary.time))
        self._held = [held.slice(before)] if before < held.num_rows else []
        return held.slice(0, before)

    def boundary_after(self, time: float) -> Boundary:
        """The first boundary of the whole schedule that is not before `time`."""
        for boundary in self._ahead:
            if boundary.time >= time:
                return boundary
        for boundary in self._boundaries:
            self._ahead.append(boundary)
            if boundary.time >= time:
                return boundary
        return self.boundary  # the last has been passed: the schedule is over

    def _peek(self) -> Boundary | None:
        if not self._ahead and (following := next(self._boundaries, None)) is not None:
            self._ahead.append(following)
        return self._ahead[0] if self._ahead else None


def _boundaries(schedule: Schedule, first: int) -> Iterator[Boundary]:
    return (item for item in schedule.sends(first) if isinstance(item, Boundary))
