"""Whether latencies of two runs can be compared: only where the machine was as fast in both, all the time.

A fixed computation, the reference, is timed during each. It must be shown to be as fast within a margin, not
merely fail to be shown to differ: a machine that is too restless to tell is none to compare latencies on.
"""

from __future__ import annotations

import math

from fairtrial.judge.evidence import Evidence
from fairtrial.judge.geometry import is_latency
from fairtrial.judge.spec import JudgeSpec, StoredBaseline
from fairtrial.judge.verdict import Gate
from fairtrial.judge.wording import count, number, percent
from fairtrial.stats.steadiness import LEAST_TIMINGS, drift, level_ratio

#: The reference is as fast as it was if its level is within so much of what it was.
MARGIN = 0.05
#: With which each end of that is shown.
_CONFIDENCE = 0.99


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
    level = level_ratio(stored.reference, now, _CONFIDENCE)
    if level.low >= 1 / (1 + MARGIN) and level.high <= 1 + MARGIN:
        return None
    shown = level.high < 1 / (1 + MARGIN) or level.low > 1 + MARGIN
    what = "is another one, or has another speed" if shown else "cannot be shown to be as fast as then"
    return (
        f"the machine {what} (the reference takes {number(level.ratio)} times as long as it did, "
        f"{number(level.low)} to {number(level.high)}, and {percent(MARGIN)} are tolerated)"
    )
