"""Observations on their way to the parts: in order of intended time, complete, and none lost."""

from __future__ import annotations

import io
from bisect import bisect_left
from collections import deque
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from fairtrial_loadtests.arrivals import Boundary
from fairtrial_loadtests.lags import LagHistogram
from fairtrial_loadtests.observation import SCHEMA
from fairtrial_loadtests.parts import part_path, replace_file

# Dictionaries where values recur; statistics where a reader may want to skip.
_PARQUET: dict[str, Any] = {
    "use_dictionary": ["arm", "unit", "segment", "prediction"],
    "write_statistics": ["time"],
}
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
    row: int
    segment: str | None
    sent: float  # NaN: never sent
    score: float | None
    absolute_error: float | None
    squared_error: float | None
    prediction: str | None


class Recorder:
    """Collects observations, and writes those that nothing can come before any more.

    `epoch` is the load's start in seconds since 1970, set when it begins. All but `write` belongs to one
    thread.
    """

    def __init__(self, folder: Path, first_part: int) -> None:
        self.epoch = 0.0
        self.lags = LagHistogram()
        self._folder = folder
        self._part = first_part
        self._held: list[Observation] = []
        self._boundaries: deque[float] = deque()

    def add(self, observation: Observation) -> None:
        self._held.append(observation)

    def boundary(self, boundary: Boundary) -> None:
        """The schedule has come to a moment that no arrival straddles."""
        self._boundaries.append(boundary.time)

    def due(self, watermark: float) -> list[Observation]:
        """Take out what can be written: all before the last boundary that is not after `watermark`.

        `watermark` is the earliest intended time still in flight or to come.
        """
        cut = None
        while self._boundaries and self._boundaries[0] <= watermark:
            cut = self._boundaries.popleft()
        if cut is None:
            return []
        self._held.sort(key=_intended)
        end = bisect_left(self._held, cut, key=_intended)
        taken = self._held[:end]
        del self._held[:end]
        return taken

    def remaining(self) -> list[Observation]:
        """Take out all, once nothing is in flight or to come."""
        taken = sorted(self._held, key=_intended)
        self._held.clear()
        return taken

    def write(self, observations: list[Observation]) -> None:
        """Write the next part; an empty one is not written. Raises OSError if the folder takes no more."""
        if not observations:
            return
        columns = dict(zip(SCHEMA.names, zip(*observations, strict=True), strict=True))
        time = np.array(columns["time"])
        sent = np.array(columns["sent"])
        self.lags.add(sent - time)
        columns |= {"time": time + self.epoch, "sent": sent + self.epoch}
        table = pa.Table.from_arrays(
            [pa.array(columns[f.name], type=f.type, from_pandas=True) for f in SCHEMA], schema=SCHEMA
        )
        buffer = io.BytesIO()
        parquet.write_table(table, buffer, **_PARQUET)
        replace_file(part_path(self._folder, self._part), buffer.getvalue())
        self._part += 1
