"""Whether latencies of two runs can be compared: only where the machine was as fast in both, all the time.

A fixed computation, the reference, is timed during each. It must be shown to be as fast within a margin, not
merely fail to be shown to differ: a machine that is too restless to tell is none to compare latencies on.

A claim crosses for good at one look, and a gate that is asked at each is open at one of them by chance far
oftener than at a given one. So it opens only by what was known after 30 timings, 60, 120 and so on, at a rate
that four such looks share; between them it may close, by all that is known.
"""

from __future__ import annotations

import math

from fairtrial.judge.evidence import Evidence
from fairtrial.judge.geometry import is_latency
from fairtrial.judge.spec import JudgeSpec, StoredBaseline
from fairtrial.judge.verdict import Gate
from fairtrial.judge.wording import count, number, percent
from fairtrial.stats.steadiness import LevelRatio, drift, level_ratio

#: The reference is as fast as it was if its level is within so much of what it was.
MARGIN = 0.05
#: With which each end of that is shown at any look.
_CONFIDENCE = 0.99
#: Timings after which the gate may open first, and the looks that share the rate: two minutes have four.
LEAST_TIMINGS, _SHARING = 30, 4


def machine_gate(spec: JudgeSpec, evidence: Evidence) -> Gate | None:
    """None for a run that stores no baseline, or measures no latency."""
    stored = spec.stored
    if stored is None or not any(is_latency(metric) for metric in spec.metrics):
        return None
    why = _unlike(stored, evidence)
    if why is not None:
        return Gate("sameMachine", False, f"Latencies are not compared with those of {stored.run}: {why}.")
    return Gate("sameMachine", True, f"The machine was as fast as in {stored.run}, within {percent(MARGIN)}.")


def _unlike(stored: StoredBaseline, evidence: Evidence) -> str | None:
    if stored.incomparable is not None:
        return stored.incomparable
    now = evidence.reference
    if min(len(stored.reference), len(now)) < LEAST_TIMINGS:
        return (
            f"the reference was timed {count(len(stored.reference))} times then and {count(len(now))} times "
            f"now, and {LEAST_TIMINGS} are needed"
        )
    for when, timings in (("then", stored.reference), ("now", now)):
        moved = drift(timings)
        if abs(math.log(moved)) > math.log1p(MARGIN):
            return (
                f"the machine changed its speed during the run {when} (the reference took {number(moved)} "
                f"times as long in the later half, and {percent(MARGIN)} are tolerated)"
            )
    opened = level_ratio(stored.reference, now[: _asked(len(now))], 1 - (1 - _CONFIDENCE) / _SHARING)
    level = level_ratio(stored.reference, now, _CONFIDENCE)
    if _within(level):
        if _within(opened):
            return None
        level = opened
    shown = level.high < 1 / (1 + MARGIN) or level.low > 1 + MARGIN
    what = "is another one, or has another speed" if shown else "cannot be shown to be as fast as then"
    return (
        f"the machine {what} (the reference takes {number(level.ratio)} times as long as it did, "
        f"{number(level.low)} to {number(level.high)}, and {percent(MARGIN)} are tolerated)"
    )


def _asked(timings: int) -> int:
    """After how many of these the gate could open last."""
    return LEAST_TIMINGS << int(math.log2(timings / LEAST_TIMINGS))


def _within(level: LevelRatio) -> bool:
    return level.low >= 1 / (1 + MARGIN) and level.high <= 1 + MARGIN
