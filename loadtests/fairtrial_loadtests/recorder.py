"""Observations on their way to the parts: in order of intended time, complete, and none lost."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from fairtrial_loadtests.arrivals import Boundary
from fairtrial_loadtests.observation import SCHEMA, Table

_intended = attrgetter("time")


class Observation(NamedTuple):
    """One request: the columns of `SCHEMA` in their order, but times in seconds since the load's start."""

    arm: str
    time: float
    latency: float
    status: int
    id: str
    unit: str | None
    pair: int | None
    row: int | None
    segment: str | None
    sent: float  # NaN: never sent
    score: float | None
    absolute_error: float | None
    squared_error: float | None
    prediction: str | None


def table_of(observations: list[Observation]) -> Table:
    """The same in the columns of `SCHEMA`; times stay in seconds since the load's start."""
    if not observations:
        return SCHEMA.empty_table()
    columns: dict[str, Any] = dict(zip(SCHEMA.names, zip(*observations, strict=True), strict=True))
    columns["sent"] = np.array(columns["sent"])
    return pa.Table.from_arrays(
        [pa.array(columns[f.name], type=f.type, from_pandas=True) for f in SCHEMA], schema=SCHEMA
    )


class Recorder:
    """Collects observations, and gives out those that nothing can come before any more.

    `epoch` is the load's start in seconds since 1970, set when it begins. `reached` is the last moment that
    everything before was given out. All belongs to one thread.
    """

    def __init__(self) -> None:
        self.epoch = 0.0
        self.reached = Boundary(-math.inf, 0)
        self._held: list[Observation] = []
        self._boundaries: deque[Boundary] = deque()

    def add(self, observation: Observation) -> None:
        self._held.append(observation)

    def boundary(self, boundary: Boundary) -> None:
        """The schedule has come to a moment that no arrival straddles."""
        self._boundaries.append(boundary)

    def due(self, watermark: float) -> list[Observation]:
        """Take out all before the last boundary that is not after `watermark`.

        `watermark` is the earliest intended time still in flight or to come.
        """
        passed = self.reached
        while self._boundaries and self._boundaries[0].time <= watermark:
            self.reached = self._boundaries.popleft()
        if self.reached is passed:
            return []
        self._held.sort(key=_intended)
        end = bisect_left(self._held, self.reached.time, key=_intended)
        taken = self._held[:end]
        del self._held[:end]
        return taken

    def remaining(self) -> list[Observation]:
        """Take out all, once nothing is in flight or to come."""
        taken = sorted(self._held, key=_intended)
        self._held.clear()
        return taken
