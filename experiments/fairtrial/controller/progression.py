"""Which step a run is at: a pure function of the looks, so that a resumed run stands where it stood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fairtrial.judge.verdict import Decision, Verdict


@dataclass(frozen=True)
class Step:
    """One stage of a strategy: how the split divides traffic, and what it takes to go on."""

    revision: str  # label of the split; observations through it carry it as their segment
    weights: Mapping[str, int]  # predictor -> percent; sums to 100
    pause: float  # seconds of load before the next step may begin
    min_requests: int  # requests that the candidate must have answered in this step


@dataclass(frozen=True)
class Position:
    """Where a run stands: the step, and what had been seen when it began."""

    step: int = 0
    since: float = 0.0  # seconds of load
    requests_before: int = 0  # the candidate's requests


def advance(position: Position, steps: tuple[Step, ...], verdict: Verdict) -> Position:
    """The position after a look.

    A step ends when its pause is over, the candidate has its requests, no gate is broken and no claim
    of harm has crossed. The last step ends only with the run.
    """
    if position.step + 1 >= len(steps) or verdict.decision is not Decision.CONTINUE:
        return position
    step = steps[position.step]
    requests = next((arm.requests for arm in verdict.arms if arm.name == verdict.candidate), 0)
    ready = (
        verdict.elapsed - position.since >= step.pause
        and requests - position.requests_before >= step.min_requests
        and not (verdict.sample_ratio is not None and verdict.sample_ratio.mismatch)
    )
    if not ready:
        return position
    return Position(position.step + 1, verdict.elapsed, requests)
