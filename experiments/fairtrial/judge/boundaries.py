"""How far the evidence for a claim must go at each look: rates shared out, drifts planned for."""

from __future__ import annotations

import math

from fairtrial.judge.comparison import Comparison
from fairtrial.judge.geometry import Claim, claims_against
from fairtrial.judge.spec import JudgeSpec, MetricSpec, Role
from fairtrial.stats.boundary import Boundary
from fairtrial.stats.mixture import SequentialMixture, required_drift


def alpha_of(spec: JudgeSpec, claim: Claim) -> float:
    """The claim's rate: candidates share it, and the claims against one candidate share its part."""
    share = spec.alpha / len(spec.candidates)
    return share / claims_against(spec) if claim.against else share


def boundary_for(spec: JudgeSpec, claim: Claim, drift: float) -> Boundary:
    """The stopping rule that the spec's method names. Raises ValueError for a method that is not known."""
    if spec.method != "sequential":
        raise ValueError(f"unknown method {spec.method}; there is: sequential")
    return SequentialMixture(alpha_of(spec, claim), drift, spec.planned_looks)


def planned_drift(
    spec: JudgeSpec, claim: Claim, comparison: Comparison, information: float, fraction: float
) -> float:
    """Expected z at full information, for which the claim's boundary is shaped. It costs power, never level.

    With a design effect it is what that effect would give, by the nuisance parameters in the pooled data;
    else what the stated power requires at the horizon.
    """
    effect = _planned_effect(comparison.metric, claim)
    if effect is not None:
        drift = comparison.signal(claim.threshold, effect) * math.sqrt(information / fraction)
        if drift > 0:
            return drift
    return required_drift(alpha_of(spec, claim), spec.power, spec.planned_looks)


def _planned_effect(metric: MetricSpec, claim: Claim) -> float | None:
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
