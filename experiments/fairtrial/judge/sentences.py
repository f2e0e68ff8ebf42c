"""What a metric shows, claim by claim, in words."""

from __future__ import annotations

import math

from scipy.special import ndtr

from fairtrial.judge.claims import Judged, MetricLook
from fairtrial.judge.geometry import Claim
from fairtrial.judge.spec import MetricSpec, Role
from fairtrial.judge.wording import (
    change,
    count,
    effect_of,
    interval_of,
    margin_of,
    metric_label,
    number,
    observations,
    percent,
    value_of,
)


def claim_sentence(metric: MetricSpec, claim: Claim, baseline: str, candidate: str) -> str:
    """ "p99 latency of v2 exceeds that of v1 by more than 10%": what is claimed, true or not."""
    side = "exceeds" if claim.threshold > 0 or (claim.threshold == 0 and claim.greater) else "is below"
    text = f"{metric_label(metric)} of {candidate} {side} that of {baseline}"
    if claim.threshold == 0:
        return text
    comparison = "more" if claim.greater == (claim.threshold > 0) else "less"
    return f"{text} by {comparison} than {effect_of(metric, claim.threshold, sign=False)}"


def finding(look: MetricLook, baseline: str, candidate: str, level: float) -> str:
    """ "p99 latency of v2 is 48.2 ms against 30.1 ms of v1, 60% slower (90% interval +35% to +88%)"."""
    metric = look.metric
    label = metric_label(metric)
    if look.effect is None:
        return f"{label} of {candidate} cannot be compared with that of {baseline}"
    theirs, ours = (value_of(metric, value) for value in (look.effect.candidate, look.effect.baseline))
    difference = change(metric, look.effect.effect)
    text = f"{label} of {candidate} is {theirs} against {ours} of {baseline}, {difference}"
    return text if look.interval is None else f"{text} ({interval_of(metric, look.interval, level)})"


def crossed_sentence(look: MetricLook, judged: Judged, baseline: str, candidate: str, level: float) -> str:
    """A claim that holds: the finding, what it means, and where the evidence crossed."""
    state = judged.state
    said = f"{finding(look, baseline, candidate, level)}, {_meaning(look.metric, judged.claim)}; "
    if state.test is not None:
        return f"{said}{_tested(judged)}."
    return (
        f"{said}the evidence crossed its boundary at look {state.crossed_at_look} "
        f"(z {state.crossed_statistic:.2f} against {state.crossed_boundary:.2f})."
    )


def _tested(judged: Judged) -> str:
    """ "McNemar exact: p 0.0012, 0.05 allowed"."""
    p = float(ndtr(-judged.state.statistics[-1]))
    return f"{judged.state.test}: p {number(p)}, {number(judged.alpha)} allowed"


def uncapped_sentence(look: MetricLook, baseline: str, candidate: str) -> str | None:
    """What a capped metric shows without its cap; None for one without, or without data."""
    metric, effect = look.metric, look.comparison.uncapped_effect()
    if metric.cap is None or effect is None:
        return None
    theirs, ours = (value_of(metric, value) for value in (effect.candidate, effect.baseline))
    return (
        f"Without its cap, which was set beforehand, {metric_label(metric)} of {candidate} is {theirs} "
        f"against {ours} of {baseline}, {change(metric, effect.effect)}; this decides nothing."
    )


def open_sentence(look: MetricLook, baseline: str, candidate: str, level: float) -> str:
    """A metric whose claim for the candidate did not cross: how far it is, and what would be needed."""
    metric, favour = look.metric, look.favour
    if look.waiting is not None:
        return f"{metric_label(metric)} was not judged: {look.waiting.rstrip('.')}."
    used = _used(look)
    if favour.state.test is not None:
        return f"{finding(look, baseline, candidate, level)}: {_not_shown(metric)} ({_tested(favour)})."
    z, boundary = favour.state.statistics[-1], favour.state.boundary
    against = "no boundary yet" if boundary is None else f"{boundary:.2f}"
    return (
        f"{finding(look, baseline, candidate, level)}: {_not_shown(metric)} (z {z:.2f} against {against} at "
        f"{percent(favour.state.information)} of the planned information). {used}"
    )


def _meaning(metric: MetricSpec, claim: Claim) -> str:
    none = metric.margin.value == 0
    match claim.name:
        case "harmed":
            return (
                "where no regression is allowed" if none else f"which exceeds the allowed {margin_of(metric)}"
            )
        case "safe":
            return "which is no regression" if none else f"within the allowed {margin_of(metric)}"
        case "met":
            if none:
                return "which is an improvement"
            return f"which exceeds the minimum effect of {margin_of(metric)}"
        case "worse":
            return "which is worse"


def _not_shown(metric: MetricSpec) -> str:
    none = metric.margin.value == 0
    if metric.role is Role.OBJECTIVE:
        return f"this shows no gain{'' if none else f' of more than {margin_of(metric)}'}"
    return f"this does not rule out a regression{'' if none else f' of more than {margin_of(metric)}'}"


def _used(look: MetricLook) -> str:
    """What has been spent, and what more would take."""
    metric, state, exhausted = look.metric, look.favour.state, look.favour.exhausted
    used = look.comparison.compared
    kind = observations(metric)
    if exhausted and metric.once_per_row:
        spent = f"Every one of the {count(used)} rows has been scored"
    elif exhausted:
        spent = f"The planned maximum of {count(metric.max_observations)} {kind} has been used"
    else:
        spent = f"{count(used)} of {count(metric.max_observations)} planned {kind} were seen"
    z, boundary = state.statistics[-1], state.boundary
    if boundary is None:
        return f"{spent}."
    if z <= 0:
        return f"{spent}; at this effect no amount of data would show it."
    needed = math.ceil(used * (boundary / z) ** 2)
    return f"{spent}; at this effect about {_rounded(needed)} would be needed."


def _rounded(value: int) -> str:
    """Two significant digits: more would be pretence."""
    digits = max(len(str(value)) - 2, 0)
    return count(round(value, -digits)) if value < 10**9 else "more than a billion"
