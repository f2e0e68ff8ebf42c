"""What would have changed the verdict: other margins, or more requests."""

from __future__ import annotations

import math
from collections.abc import Iterable

from fairtrial.explanation.forecast import needed
from fairtrial.explanation.paragraph import Paragraph
from fairtrial.judge.verdict import ClaimName, ClaimResult, Decision, MetricResult, Verdict
from fairtrial.judge.wording import count, listed
from fairtrial.report import figures
from fairtrial.report.standing import AGAINST, FOR

HEADING = "What would have changed it"
_CAVEAT = (
    "A margin chosen after seeing the data proves nothing: set it for what users would notice, "
    "and let a new run decide."
)


def what_would_change(verdict: Verdict) -> Paragraph:
    """For each metric that stood in the way, which margin it would have passed, and what more data would do.

    Margins are read off the interval of the effect: it is valid at every look, and a margin outside it is
    one whose claim would have held.
    """
    if not verdict.metrics:
        return Paragraph(HEADING, "No metric was judged.")
    match verdict.decision:
        case Decision.PROMOTE:
            text, points = _after_promotion(verdict)
        case Decision.ROLLBACK:
            text, points = _after_rollback(verdict)
        case Decision.INCONCLUSIVE | Decision.CONTINUE:
            text, points = _undecided(verdict)
    offered = points if verdict.decision is Decision.PROMOTE else any(map(_may_pass, verdict.metrics))
    return Paragraph(HEADING, text, (*points, _CAVEAT) if offered else tuple(points))


def _after_promotion(verdict: Verdict) -> tuple[str, list[str]]:
    points = [point for metric in verdict.metrics if (point := _room(metric))]
    if not points:
        return f"No margin could have been tightened with {verdict.candidate} still promoted.", []
    return f"How far the margins could have been tightened with {verdict.candidate} still promoted:", points


def _after_rollback(verdict: Verdict) -> tuple[str, list[str]]:
    against = [metric for metric in verdict.metrics if _against(metric)]
    if not against:
        return "The run was ended by a limit and not by a claim, so no margin would have changed it.", []
    points: list[str] = []
    for metric in against:
        others = [figures.label(other) for other in verdict.metrics if blocks(other) and other is not metric]
        outcome = f"{verdict.candidate} would have been promoted"
        if others:
            outcome = f"this metric would have passed, with {_all(others)} still in the way"
        points.append(_other_margin(metric, outcome))
    return f"{verdict.candidate} was rolled back because of {_all(map(figures.label, against))}.", points


def _undecided(verdict: Verdict) -> tuple[str, list[str]]:
    blockers = [metric for metric in verdict.metrics if blocks(metric)]
    gates = [gate for gate in verdict.gates if not gate.passed]
    names = [figures.label(metric) for metric in blockers] + [
        f"the {figures.in_words(gate.name)} gate" for gate in gates
    ]
    points: list[str] = []
    for metric in blockers:
        others = [name for name in names if name != figures.label(metric)]
        outcome = f"{verdict.candidate} would have been promoted"
        if others:
            outcome = f"this metric would have passed, with {_all(others)} still open"
        points.append(_other_margin(metric, outcome))
        if _against(metric) is None:
            open_claims = [claim for claim in metric.claims if claim.claim in FOR]
            points += [said for claim in open_claims if (said := _more_data(metric, claim))]
    points += [gate.message for gate in gates]
    return f"In the way of a promotion of {verdict.candidate} stood {_all(names)}.", points


def blocks(metric: MetricResult) -> bool:
    """Whether the metric keeps the candidate from promotion."""
    return _against(metric) is not None or any(
        not claim.crossed for claim in metric.claims if claim.claim in FOR
    )


def _may_pass(metric: MetricResult) -> bool:
    """Whether another margin can be named with which the metric would have passed."""
    return blocks(metric) and metric.interval is not None and _against(metric) != "worse"


def gain(metric: MetricResult) -> tuple[float, float] | None:
    """The interval of how much better the candidate is, in the effect's unit; negative is worse."""
    if metric.interval is None:
        return None
    low, high = metric.interval
    return (low, high) if metric.higher_is_better else (-high, -low)


def _room(metric: MetricResult) -> str | None:
    bounds = gain(metric)
    if bounds is None:
        return None
    name = figures.label(metric)
    if metric.role == "objective":
        most = _round_down(bounds[0])
        return (
            f"{name}: a minEffect of up to {figures.margin(metric, most)}." if most > metric.margin else None
        )
    least = _round_up(max(-bounds[0], 0.0))
    if least >= metric.margin:
        return None
    return f"{name}: a maxRegression down to {figures.margin(metric, least)}."


def _other_margin(metric: MetricResult, outcome: str) -> str:
    bounds = gain(metric)
    if bounds is None or any(math.isnan(bound) for bound in bounds):
        why = metric.waiting or "there is no interval of its effect yet"
        return f"{figures.label(metric)}: nothing can be said about other margins, because {why}."
    if metric.role == "objective":
        return _objective(metric, bounds, outcome)
    return _guardrail(metric, bounds, outcome)


def _objective(metric: MetricResult, bounds: tuple[float, float], outcome: str) -> str:
    name = figures.label(metric)
    if _against(metric) is not None:
        return (
            f"{name}: no minEffect would have changed it, for a loss was shown (the gain's "
            f"{figures.level(metric)} interval is {figures.span(metric, bounds)})."
        )
    most = _round_down(bounds[0])
    if most > 0:
        return (
            f"{name}: with a minEffect of {figures.margin(metric, most)} instead of "
            f"{figures.margin(metric)}, {outcome} (the gain's {figures.level(metric)} interval is "
            f"{figures.span(metric, bounds)})."
        )
    return (
        f"{name}: no minEffect of 0 or more would have been met, as the gain's {figures.level(metric)} "
        f"interval, {figures.span(metric, bounds)}, reaches below 0."
    )


def _guardrail(metric: MetricResult, bounds: tuple[float, float], outcome: str) -> str:
    name = figures.label(metric)
    least, most = -bounds[1], -bounds[0]
    span = f"the regression's {figures.level(metric)} interval is {figures.span(metric, (least, most))}"
    if math.isinf(most):
        return f"{name}: no maxRegression would have passed ({span})."
    passing = figures.margin(metric, _round_up(most))
    point = f"{name}: with a maxRegression of {passing} instead of {figures.margin(metric)}, {outcome}"
    return f"{point} ({span})."


def _more_data(metric: MetricResult, claim: ClaimResult) -> str | None:
    factor = needed(claim)
    name = f"{figures.label(metric)}, more requests"
    if factor is None:
        return None
    at = f"z is {figures.z(claim.statistic)}, its boundary {figures.z(claim.boundary)}"
    if math.isinf(factor):
        return f"{name}: would not help if the effect is as observed, which speaks against the claim ({at})."
    size = metric.n_pairs if metric.n_pairs is not None else min(metric.n_baseline, metric.n_candidate)
    kind = "pairs" if metric.n_pairs is not None else "observations an arm"
    more = _round_up(size * (factor - 1))
    horizon = ", which is beyond the horizon" if claim.information * factor > 1 else ""
    return f"{name}: about {count(round(more))} more {kind} at the observed effect{horizon} ({at})."


def _against(metric: MetricResult) -> ClaimName | None:
    return next((c.claim for c in metric.claims if c.crossed and c.claim in AGAINST), None)


def _all(names: Iterable[str]) -> str:
    return listed([*names] or ["nothing"])


def _round_up(value: float) -> float:
    """To two significant digits, away from the interval."""
    step = _step(value)
    return math.ceil(value / step - 1e-9) * step if math.isfinite(value) else value


def _round_down(value: float) -> float:
    step = _step(value)
    return math.floor(value / step + 1e-9) * step if math.isfinite(value) else value


def _step(value: float) -> float:
    return 10.0 ** (math.floor(math.log10(abs(value))) - 1) if value and math.isfinite(value) else 1.0
