"""Which step a run is at: a pure function of the looks, so that a resumed run stands where it stood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fairtrial.judge.verdict import Decision, Verdict


@dataclass(frozen=True)
class Shadow:
    """An arm that gets copies of the split's requests, whose answers nobody sees."""

    arm: str
    percent: int


@dataclass(frozen=True)
class Step:
    """One stage of a strategy: how the split divides traffic, and what it takes to go on."""

    revision: str  # label of the split; observations through it carry it as their segment
    weights: Mapping[str, int]  # arm -> percent of the answers, 0 for one that answers nobody; sums to 100
    pause: float  # seconds of load before the next step may begin
    min_requests: int  # requests that each candidate must have answered in this step
    shadow: Shadow | None = None


@dataclass(frozen=True)
class Position:
    """Where a run stands: the step, and what had been seen when it began."""

    step: int = 0
    since: float = 0.0  # seconds of load
    requests_before: int = 0  # of the candidate that had fewest


def advance(position: Position, steps: tuple[Step, ...], verdicts: Sequence[Verdict]) -> Position:
    """The position after a look, which brought a verdict on each candidate that had no final one.

    A step ends when its pause is over, every candidate that is still on trial has its requests, no gate is
    broken and no claim of harm has crossed. The last step ends only with the run.
    """
    on_trial = [verdict for verdict in verdicts if verdict.decision is Decision.CONTINUE]
    if position.step + 1 >= len(steps):
        return position
    over = is_over(position, steps[position.step], on_trial)
    return replace(over, step=position.step + 1) if over is not None else position


def is_over(position: Position, step: Step, on_trial: Sequence[Verdict]) -> Position | None:
    """Where the next step would count from, if this one has its time and its requests and no gate is broken.

    on_trial: the latest verdict on each candidate that goes on; without any, no step ends.
    """
    if not on_trial:
        return None
    requests = min(_requests(verdict) for verdict in on_trial)
    elapsed = on_trial[0].elapsed
    ready = (
        elapsed - position.since >= step.pause
        and requests - position.requests_before >= step.min_requests
        and not any(v.sample_ratio is not None and v.sample_ratio.mismatch for v in on_trial)
    )
    return Position(position.step, elapsed, requests) if ready else None


def _requests(verdict: Verdict) -> int:
    return next((arm.requests for arm in verdict.arms if arm.name == verdict.candidate), 0)
