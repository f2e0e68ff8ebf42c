"""Takes each claim through a look: what its evidence is, and whether it crosses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from scipy.special import ndtri

from fairtrial.judge.boundaries import alpha_of, boundary_for, planned_drift
from fairtrial.judge.comparison import Comparison, Interval
from fairtrial.judge.geometry import Claim, claims_of
from fairtrial.judge.spec import JudgeSpec, Method, MetricSpec
from fairtrial.judge.state import ClaimState, State, claim_key
from fairtrial.stats.e_process import z_of_log_e
from fairtrial.stats.score import Effect

#: Below it a p-value is as good as 0: its z is 37.
_LEAST_P = 1e-300


@dataclass(frozen=True)
class Judged:
    """A claim after a look."""

    claim: Claim
    state: ClaimState
    alpha: float
    exhausted: bool  # it can cross no more: all that was planned has been looked at

    @property
    def statistic(self) -> float | None:
        """z where it crossed; else at its last look. None before the first."""
        if self.state.crossed_statistic is not None:
            return self.state.crossed_statistic
        return self.state.statistics[-1] if self.state.statistics else None

    @property
    def boundary(self) -> float | None:
        """What the statistic is held against."""
        return self.state.crossed_boundary if self.state.crossed else self.state.boundary


@dataclass(frozen=True)
class MetricLook:
    """A metric of one candidate after a look."""

    metric: MetricSpec
    comparison: Comparison
    against: Judged
    favour: Judged
    effect: Effect | None
    interval: Interval | None
    waiting: str | None  # why the claim for the candidate has no statistic yet

    @property
    def judged(self) -> tuple[Judged, Judged]:
        return self.against, self.favour


def look_at_metric(
    spec: JudgeSpec,
    state: State,
    comparison: Comparison,
    candidate: str,
    *,
    waiting: str | None,
    horizon: bool,
    intervals: bool = True,
) -> MetricLook:
    """Judge both claims of a metric at look `state.look`; `waiting` says why not to, if so.

    horizon: there will be no later look, which is when a fixed horizon is judged. intervals: whether
    estimates and intervals are wanted too, which no claim needs.
    """
    metric = comparison.metric
    if waiting is None and spec.method is Method.FIXED_HORIZON and not horizon:
        waiting = "it is judged once, at the horizon"
    against, favour = (
        _look_at_claim(spec, state, comparison, claim, candidate, waits=waiting is not None)
        for claim in claims_of(metric)
    )
    if waiting is None and not favour.state.statistics:
        waiting = comparison.shortfall()
    critical = favour.state.boundary
    return MetricLook(
        metric=metric,
        comparison=comparison,
        against=against,
        favour=favour,
        effect=comparison.effect() if intervals else None,
        interval=_interval(spec, comparison, favour, critical) if intervals else None,
        waiting=waiting,
    )


def claims_after(state: State, candidate: str, looks: tuple[MetricLook, ...]) -> Mapping[str, ClaimState]:
    """All claims of the state, with those of these looks in place of the earlier ones."""
    return {
        **state.claims,
        **{
            claim_key(candidate, look.metric.name, judged.claim.name): judged.state
            for look in looks
            for judged in look.judged
        },
    }


def _look_at_claim(
    spec: JudgeSpec, state: State, comparison: Comparison, claim: Claim, candidate: str, *, waits: bool
) -> Judged:
    before = state.claim(candidate, comparison.metric.name, claim.name)
    after = before if waits else _advanced(spec, before, comparison, claim, look=state.look)
    exhausted = spec.method is not Method.ALWAYS_VALID and after.information >= 1
    return Judged(claim, after, alpha_of(spec, claim), exhausted)


def p_value(spec: JudgeSpec, judged: Judged) -> float | None:
    """The claim's sequential p-value; None before its first look. It takes milliseconds."""
    state = judged.state
    if state.drift is None:
        return None
    return boundary_for(spec, judged.claim, state.drift).p_value(state.fractions, state.statistics)


def _advanced(
    spec: JudgeSpec, before: ClaimState, comparison: Comparison, claim: Claim, *, look: int
) -> ClaimState:
    """The claim after one more look; unchanged if there is nothing new, or nothing more may be looked at.

    A claim that has crossed is still followed, for its interval and what the report draws.
    """
    fraction = comparison.compared / comparison.metric.max_observations
    if spec.method is not Method.ALWAYS_VALID:
        fraction = min(1.0, fraction)
    if fraction <= before.information:
        return before
    found = _statistic(spec, comparison, claim, before.drift, fraction)
    if found is None:
        return before
    drift = found.drift
    fractions = (*before.fractions, fraction)
    critical = boundary_for(spec, claim, drift).critical(fractions)
    boundary = critical if math.isfinite(critical) else None
    if boundary is None and before.boundary is not None and fraction < 1:
        return before  # too soon after the last look to reject anything: it waits for the next
    after = replace(
        before,
        fractions=fractions,
        statistics=(*before.statistics, found.z),
        drift=drift,
        test=found.test,
        boundary=boundary if boundary is not None else before.boundary,
    )
    if before.crossed or boundary is None or found.z < boundary:
        return after
    return replace(after, crossed_at_look=look, crossed_statistic=found.z, crossed_boundary=boundary)


@dataclass(frozen=True)
class _Statistic:
    """Evidence for a claim at a look, whatever the method: all of them on the scale of z."""

    z: float
    drift: float
    test: str | None = None


def _statistic(
    spec: JudgeSpec, comparison: Comparison, claim: Claim, drift: float | None, fraction: float
) -> _Statistic | None:
    """None while there is too little to say."""
    if spec.method is Method.FIXED_HORIZON:
        test = comparison.fixed(claim.threshold, greater=claim.greater, level=_level(spec))
        if test is None:
            return None
        z = -float(ndtri(min(max(test.p_value, _LEAST_P), 1 - _LEAST_P)))
        return _Statistic(z, 0.0, test.name)
    score = comparison.evidence(claim.threshold, greater=claim.greater)
    if score is None:
        return None
    if drift is None:
        drift = planned_drift(spec, claim, comparison, score.information, fraction)
    if spec.method is Method.ALWAYS_VALID:
        log_e = comparison.log_e(claim.threshold, greater=claim.greater)
        if log_e is not None:
            return _Statistic(float(z_of_log_e(log_e, fraction, drift)), drift)
    return _Statistic(score.z, drift)


def _level(spec: JudgeSpec) -> float:
    """Confidence level of the intervals: each end is one-sided at the rate of a claim for promotion."""
    return 1 - 2 * spec.alpha / len(spec.candidates)


def _interval(
    spec: JudgeSpec, comparison: Comparison, favour: Judged, critical: float | None
) -> Interval | None:
    """That of the test which judged, where it has one; else the score inverted at the boundary."""
    if critical is None:
        return None
    if favour.state.test is not None:
        claim = favour.claim
        test = comparison.fixed(claim.threshold, greater=claim.greater, level=_level(spec))
        if test is not None and test.interval is not None:
            return _finite(test.interval)
    return _finite(comparison.interval(critical))


def _finite(interval: Interval | None) -> Interval | None:
    """An interval that says something; one side may be open."""
    if interval is None or all(math.isinf(end) for end in interval):
        return None
    return interval
