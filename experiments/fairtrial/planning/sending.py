"""What a load test sends: how many arrivals, until when, and by when so many of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.pace import Pace, pace_of
from fairtrial_loadtests.plan import Arrivals, Stage, Trace

from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.traffic import LoadTest

#: Arrivals at either end of a load that may be missing from what is called all of it: with ten expected, none
#: comes in 5 of 100,000 loads. At the end a fiftieth more.
_FEW = 10.0
_TAIL = 0.02
#: Moments of a load at which its rate is looked at.
_MOMENTS = 2048


@dataclass(frozen=True)
class Sending:
    arrivals: float  # expected; a pair is one
    seconds: float  # until the load ends
    varies: bool  # whether the rate does

    _pace: Pace

    def seconds_until(self, part: float) -> float:
        """Seconds until this part of all arrivals has come; beyond 1 at the mean rate."""
        if part >= 1:
            return self.seconds * part
        return float(self._pace.when(np.array([self.arrivals * part]))[0])

    @property
    def cycle(self) -> float:
        """Seconds that must have been seen for a changing load to have been seen whole; 0 of a steady one."""
        few, tail = (part / self.arrivals for part in (_FEW, _FEW + _TAIL * self.arrivals))
        if not self.varies or few + tail >= 1:
            return 0.0
        return self.seconds_until(1 - tail) - self.seconds_until(few)

    @property
    def longest_gap(self) -> float:
        """Seconds within the cycle of a changing load in which it may bring nothing by itself; else 0."""
        if not self.cycle:
            return 0.0
        if self._pace.exact:
            times = self._pace.when(np.arange(1.0, self.arrivals + 1))
            return float(np.max(np.diff(times), initial=0.0))
        begin = self.seconds_until(_FEW / self.arrivals)
        moments = np.linspace(begin, begin + self.cycle, _MOMENTS)
        work = np.array([self._pace.work(float(moment)) for moment in moments])
        return float(np.max(np.minimum(self._pace.when(work + _FEW), self.seconds) - moments))


def arrivals_of(experiment: Experiment) -> Arrivals:
    """As the load process is told."""
    load = experiment.spec.traffic.driven
    return Arrivals(
        load.arrival_rate, load.process, load.max_duration, _stages(load), _trace(load, experiment.folder)
    )


def sending_of(experiment: Experiment) -> Sending:
    """Raises UsageError if the trace cannot be read."""
    arrivals = arrivals_of(experiment)
    trace = arrivals.trace
    try:
        changed = trace.file.stat().st_mtime_ns if trace is not None and trace.file.exists() else 0
        pace = _pace_of(arrivals, experiment.spec.analysis.seed, changed)
    except BadLoadError as error:
        raise UsageError(str(error)) from error
    seconds = min(arrivals.max_duration, pace.duration)
    return Sending(pace.work(seconds), seconds, bool(arrivals.stages or trace), pace)


@lru_cache(maxsize=4)
def _pace_of(arrivals: Arrivals, seed: int, _changed: int) -> Pace:
    """_changed: when the trace was, so that a file that changes is read again."""
    return pace_of(arrivals, seed)


def _stages(load: LoadTest) -> tuple[Stage, ...]:
    kinds = load.arrivals
    if kinds is None:
        return ()
    if kinds.stepped is not None:
        return tuple(Stage(stage.lasts, stage.rate) for stage in kinds.stepped)
    if kinds.soak is not None:
        soak = kinds.soak
        rising = (Stage(soak.ramp_up, 0.0, soak.rate),) if soak.ramp_up else ()
        return (*rising, Stage(soak.lasts - soak.ramp_up, soak.rate))
    if kinds.spike is not None:
        spike = kinds.spike
        after = load.max_duration - spike.at - spike.lasts
        stages = (Stage(spike.at, spike.base), Stage(spike.lasts, spike.peak), Stage(after, spike.base))
        return tuple(stage for stage in stages if stage.seconds > 0)
    return ()


def _trace(load: LoadTest, folder: Path) -> Trace | None:
    trace = load.arrivals.trace if load.arrivals is not None else None
    return Trace(folder.absolute() / trace.file, trace.time, trace.speed) if trace is not None else None
