"""How far the evidence for a claim must go at each look: rates shared out, drifts planned for."""

from __future__ import annotations

import math

from scipy.special import ndtri

from fairtrial.judge.comparison import Comparison
from fairtrial.judge.geometry import Claim, claims_against
from fairtrial.judge.spec import JudgeSpec, Method, MetricSpec, Role, Spending
from fairtrial.stats.always_valid import AlwaysValid
from fairtrial.stats.boundary import Boundary
from fairtrial.stats.design import design_drift
from fairtrial.stats.fixed_horizon import FixedHorizon
from fairtrial.stats.group_sequential import GroupSequential
from fairtrial.stats.mixture import SequentialMixture, required_drift
from fairtrial.stats.spending import obrien_fleming_spending, pocock_spending


def alpha_of(spec: JudgeSpec, claim: Claim) -> float:
    """The claim's rate: candidates share it, and the claims against one candidate share its part."""
    share = spec.alpha / len(spec.candidates)
    return share / claims_against(spec) if claim.against else share


def boundary_for(spec: JudgeSpec, claim: Claim, drift: float) -> Boundary:
    """The stopping rule that the spec's method names, for a claim planned for this drift."""
    alpha = alpha_of(spec, claim)
    match spec.method:
        case Method.SEQUENTIAL:
            return SequentialMixture(alpha, drift, spec.planned_looks)
        case Method.ALWAYS_VALID:
            return AlwaysValid(alpha, drift)
        case Method.GROUP_SEQUENTIAL:
            return _group_sequential(spec, alpha)
        case Method.FIXED_HORIZON:
            return FixedHorizon(alpha)


def required(spec: JudgeSpec, alpha: float) -> float:
    """Expected z at full information with which a claim at this rate is shown with the stated power."""
    match spec.method:
        case Method.SEQUENTIAL | Method.ALWAYS_VALID:
            return required_drift(alpha, spec.power, spec.planned_looks)
        case Method.GROUP_SEQUENTIAL:
            boundary = _group_sequential(spec, alpha)
            return design_drift(
                boundary.planned_critical.tolist(), boundary.planned_fractions.tolist(), spec.power
            )
        case Method.FIXED_HORIZON:
            return float(ndtri(spec.power) - ndtri(alpha))


def planned_grid(spec: JudgeSpec, claim: Claim, drift: float) -> tuple[list[float], list[float]]:
    """(critical z, information fraction) of each planned look up to the horizon."""
    alpha = alpha_of(spec, claim)
    even = [k / spec.planned_looks for k in range(1, spec.planned_looks + 1)]
    match spec.method:
        case Method.SEQUENTIAL:
            return SequentialMixture(alpha, drift, spec.planned_looks).planned_critical.tolist(), even
        case Method.ALWAYS_VALID:
            return AlwaysValid(alpha, drift).criticals(even).tolist(), even
        case Method.GROUP_SEQUENTIAL:
            return _group_sequential(spec, alpha).planned_critical.tolist(), even
        case Method.FIXED_HORIZON:
            return [FixedHorizon(alpha).critical([1.0])], [1.0]


_SPENDING = {Spending.OBRIEN_FLEMING: obrien_fleming_spending, Spending.POCOCK: pocock_spending}


def _group_sequential(spec: JudgeSpec, alpha: float) -> GroupSequential:
    return GroupSequential(alpha, spec.planned_looks, _SPENDING[spec.spending])


def planned_drift(
    spec: JudgeSpec, claim: Claim, comparison: Comparison, information: float, fraction: float
) -> float:
    """Expected z at full information, for which the claim's boundary is shaped. It costs power, never level.

    With a design effect it is what that effect would give, by the nuisance parameters in the pooled data;
    else what the stated power requires at the horizon.
    """
    effect = planned_effect(comparison.metric, claim)
    if effect is not None:
        drift = comparison.signal(claim.threshold, effect) * math.sqrt(information / fraction)
        if drift > 0:
            return drift
    return required(spec, alpha_of(spec, claim))


def planned_effect(metric: MetricSpec, claim: Claim) -> float | None:
    """The effect at which the claim is to be shown; None where nothing was said.

    An objective's design effect is a gain, and the loss of the same size is the one to catch. A guardrail's
    is a regression to catch, and no effect at all is to be found safe.
    """
    if metric.design_effect is None:
        return None
    size = metric.design_effect.value
    gain = size if metric.higher_is_better else -size
    match metric.role, claim.against:
        case (Role.OBJECTIVE, False) | (Role.GUARDRAIL, True):
            planned = gain if metric.role is Role.OBJECTIVE else -gain
        case (Role.OBJECTIVE, True):
            planned = -gain
        case _:
            planned = 0.0
    beyond = planned > claim.threshold if claim.greater else planned < claim.threshold
    return planned if beyond else None
