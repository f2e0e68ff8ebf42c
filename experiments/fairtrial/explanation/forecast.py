"""When a run is likely to decide, by carrying on as it has begun.

At a constant effect the statistic of a claim grows with the square root of the information, so a claim
at z needs (boundary / z)^2 times the data that it has. The boundary is taken to stay where it is: it
moves slowly, and the noise in z, one unit either way, matters more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fairtrial.judge.verdict import ClaimName, ClaimResult, MetricResult, Verdict
from fairtrial.report import figures
from fairtrial.report.standing import AGAINST, FOR


@dataclass(frozen=True)
class Forecast:
    """`seconds` from now to a decision, and the claim it waits for, e.g. "latency p99 safe".

    None: not within the horizon, or not to be told yet.
    """

    sentence: str
    seconds: float | None = None
    waits_for: str | None = None


def needed(claim: ClaimResult) -> float | None:
    """How many times today's data the claim needs: 1 once it holds, infinite if it points the other way.

    None while it has no statistic.
    """
    if claim.crossed:
        return 1.0
    if claim.statistic is None or claim.boundary is None:
        return None
    if claim.statistic <= 0:
        return math.inf
    return max(1.0, (claim.boundary / claim.statistic) ** 2)


def forecast(verdict: Verdict, max_duration: float) -> Forecast:
    """When the verdict is likely to be final, `max_duration` being the run's longest in seconds."""
    if verdict.elapsed <= 0 or not verdict.metrics:
        return Forecast("too early to say")
    for_it = _paths(verdict.metrics, FOR)
    against = [path for path in _paths(verdict.metrics, AGAINST) if path.factor is not None]
    # A promotion waits for all of its claims, also for those that nothing can be said of yet.
    promotion = (
        None if any(path.factor is None for path in for_it) else max(for_it, key=_factor, default=None)
    )
    rollback = min(against, key=_factor, default=None)
    paths = [path for path in (promotion, rollback) if path]
    if not paths:
        return Forecast("too early to say")
    nearest = min(paths, key=_factor)
    longest = min(max_duration / verdict.elapsed, 1 / max(nearest.claim.information, 1e-9))
    if _factor(nearest) <= longest:
        left = verdict.elapsed * (_factor(nearest) - 1)
        return Forecast(f"in about {figures.duration(_coarse(left))}", left, nearest.name)
    if promotion is None:
        return Forecast("too early to say")
    if any(path.lucky <= longest for path in paths):
        return Forecast("perhaps not within the horizon")
    return Forecast("not within the horizon at this rate")


@dataclass(frozen=True)
class _Path:
    """One claim on the way to a decision, and how many times today's data it needs."""

    name: str
    claim: ClaimResult
    factor: float | None

    @property
    def lucky(self) -> float:
        """The same, were the statistic one standard error further along."""
        if self.factor is None or self.claim.statistic is None:
            return math.inf
        return needed(replace(self.claim, statistic=self.claim.statistic + 1)) or math.inf


def _paths(metrics: Iterable[MetricResult], side: frozenset[ClaimName]) -> list[_Path]:
    return [
        _Path(f"{figures.label(metric)} {claim.claim}", claim, needed(claim))
        for metric in metrics
        for claim in metric.claims
        if claim.claim in side
    ]


def _factor(path: _Path) -> float:
    return math.inf if path.factor is None else path.factor


def _coarse(left: float) -> float:
    """No more precision than there is: 1 s steps to ten, 5 s to a minute, 30 s beyond."""
    step = 1 if left < 10 else 5 if left < 60 else 30
    return max(1, round(left / step) * step)
