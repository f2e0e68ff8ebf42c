"""How the rate of a load changes with time, and so when its n-th arrival comes.

Arrivals are drawn on a clock of work, on which one comes each second on average. A pace tells where a moment
of that clock falls in the schedule: the inverse of the expected number of arrivals. So Poisson arrivals
stay exactly Poisson whatever the rate does (the time-rescaling theorem; Cinlar, Introduction to Stochastic
Processes, 1975, section 4.7), and evenly spaced ones follow each other at the rate of their moment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fairtrial_loadtests.plan import Arrivals, Stage
from fairtrial_loadtests.trace import read_trace

_NEIGHBOURS = 8  # arrivals of a trace on either side that tell how dense it is
_LEAST_GAP = 1e-4  # seconds: arrivals that a log has at one moment still have an order

Times = NDArray[np.float64]


class Pace(Protocol):
    exact: bool
    """Whether arrivals come at moments of work 1, 2, 3, ... and nowhere else."""
    duration: float
    """Seconds after which nothing comes; infinite if it goes on."""

    def when(self, work: Times) -> Times:
        """Seconds since the load's start of moments of work; infinite for what never comes."""
        ...

    def work(self, time: float) -> float:
        """How many arrivals are expected in the first `time` seconds."""
        ...

    def gaps(self, work: Times) -> Times:
        """Mean seconds between two arrivals about these moments of work."""
        ...


def pace_of(arrivals: Arrivals, seed: int) -> Pace:
    """The pace that a plan says. Raises BadLoadError if its trace cannot be read."""
    if arrivals.trace is not None:
        return Traced(read_trace(arrivals.trace, seed))
    return Staged(arrivals.stages or (Stage(math.inf, arrivals.rate),))


class Staged:
    """Stages one after another, in each of which the rate stays or changes evenly."""

    exact = False

    def __init__(self, stages: Sequence[Stage]) -> None:
        seconds = np.array([stage.seconds for stage in stages])
        self._rates = np.array([stage.rate for stage in stages])
        ends = np.array([stage.rate if stage.end_rate is None else stage.end_rate for stage in stages])
        self._slopes = (ends - self._rates) / seconds
        self._starts = np.concatenate([[0.0], np.cumsum(seconds)])
        self._work = np.concatenate([[0.0], np.cumsum((self._rates + ends) / 2 * seconds)])
        self.duration = float(self._starts[-1])

    def when(self, work: Times) -> Times:
        stage, rest = self._located(work)
        # The root of rate * t + slope * t^2 / 2 = rest that does not cancel, whatever the slope's sign.
        rate = self._rates[stage]
        root = np.sqrt(np.maximum(rate * rate + 2 * self._slopes[stage] * rest, 0.0))
        times = self._starts[stage] + 2 * rest / np.maximum(rate + root, np.finfo(np.float64).tiny)
        return np.where(work < self._work[-1], times, np.inf)

    def work(self, time: float) -> float:
        stage = min(int(np.searchsorted(self._starts, time, "right")) - 1, len(self._rates) - 1)
        rest = min(time, self.duration) - self._starts[stage]
        return float(self._work[stage] + (self._rates[stage] + self._slopes[stage] * rest / 2) * rest)

    def gaps(self, work: Times) -> Times:
        stage, rest = self._located(work)
        rate = self._rates[stage]
        return 1.0 / np.sqrt(np.maximum(rate * rate + 2 * self._slopes[stage] * rest, 1e-12))

    def _located(self, work: Times) -> tuple[NDArray[np.intp], Times]:
        stage = np.minimum(np.searchsorted(self._work, work, "right") - 1, len(self._rates) - 1)
        return stage, work - self._work[stage]


class Traced:
    """Arrivals at the moments that were recorded: `times`, in order."""

    exact = True

    def __init__(self, times: Times) -> None:
        self._times = times
        self.duration = float(np.nextafter(times[-1], np.inf))

    def when(self, work: Times) -> Times:
        place = np.rint(work).astype(np.int64) - 1
        inside = place < self._times.size
        return np.where(inside, self._times[np.minimum(place, self._times.size - 1)], np.inf)

    def work(self, time: float) -> float:
        return float(np.searchsorted(self._times, time))

    def gaps(self, work: Times) -> Times:
        last = self._times.size - 1
        place = np.minimum(np.rint(work).astype(np.int64) - 1, last)
        low, high = np.maximum(place - _NEIGHBOURS, 0), np.minimum(place + _NEIGHBOURS, last)
        return np.maximum((self._times[high] - self._times[low]) / np.maximum(high - low, 1), _LEAST_GAP)
