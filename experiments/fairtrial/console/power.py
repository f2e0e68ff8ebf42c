"""What it takes to decide, in lines for a terminal: a sentence a claim, and a curve for the eye."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fairtrial.experiment.quantities import format_duration
from fairtrial.judge.spec import JudgeSpec
from fairtrial.judge.wording import count, effect_of, metric_label, observations, percent
from fairtrial.planning.needs import Needs
from fairtrial.planning.power import ClaimPlan

_BARS = " ▁▂▃▄▅▆▇█"


def need_lines(spec: JudgeSpec, needs: Sequence[Needs]) -> Iterator[str]:
    """The claims of each metric, what they need, and whether the horizon has it."""
    yield f"needs, at {percent(spec.power)} power and {percent(spec.alpha)} false positives"
    for need in needs:
        label = metric_label(need.metric)
        way = "paired" if need.metric.paired else "unpaired"
        if not need.chosen:
            best = max(need.claims, key=lambda claim: claim.needed or 0, default=None)
            if best is not None and best.needed is not None:
                yield f"    ({way} it would need about {_rounded(best.needed)} {observations(need.metric)})"
            continue
        yield f"  {label}, {need.basis}"
        if not need.claims:
            yield "    no figures; `--data` plans by what a run has recorded"
        for claim in need.claims:
            yield f"    {claim_line(claim)}"
        for claim in need.claims:
            if claim.claim.against is False:
                yield f"    {_curve(claim)}"
    yield from _together([need for need in needs if need.chosen])


def claim_line(plan: ClaimPlan) -> str:
    """ "met, if the true effect is +3 pp: 1,200 of 8,000 pairs, 12s (940 expected)"."""
    effect = effect_of(plan.metric, plan.effect)
    if not plan.designed:
        return f"{plan.claim.name}: the horizon shows a true effect of {effect} or beyond"
    name = (
        f"{plan.claim.name}, if {'nothing changes' if plan.effect == 0 else f'the true effect is {effect}'}"
    )
    kind = observations(plan.metric)
    if plan.needed is None:
        return f"{name}: cannot be shown"
    if plan.within_horizon:
        time = "" if plan.seconds is None else f", {format_duration(max(1, round(plan.seconds)))}"
        return (
            f"{name}: {_rounded(plan.needed)} of {count(plan.supply.most)} {kind}{time} "
            f"({_rounded(round(plan.mean))} expected)"
        )
    short = (
        f"{name}: CANNOT BE DECIDED in the horizon; {_rounded(plan.needed)} {kind} needed, "
        f"{count(plan.supply.most)} there (power {percent(plan.power)})"
    )
    if plan.supply.bounded_by_rows:
        return f"{short}; more rows are needed, since each is scored once"
    seconds = plan.needed / plan.supply.per_second
    return f"{short}; a maxDuration of {format_duration(float(round(seconds)))} would do"


def need_document(need: Needs) -> dict[str, Any]:
    """The same as JSON-safe data."""
    return {
        "metric": need.metric.name,
        "paired": need.metric.paired,
        "chosen": need.chosen,
        "basis": need.basis,
        "observations": observations(need.metric),
        "most": need.supply.most,
        "claims": [
            {
                "claim": plan.claim.name,
                "effect": plan.effect,
                "designed": plan.designed,
                "power": plan.power,
                "needed": plan.needed,
                "withinHorizon": plan.within_horizon,
                "seconds": plan.seconds,
                "expected": plan.mean,
                "curve": [{"effect": p.effect, "power": p.power, "expected": p.mean} for p in plan.curve],
            }
            for plan in need.claims
        ],
    }


def _curve(plan: ClaimPlan) -> str:
    """Expected observations by true effect, as a row of bars."""
    most = max(point.mean for point in plan.curve)
    bars = "".join(_BARS[max(1, round(point.mean / most * (len(_BARS) - 1)))] for point in plan.curve)
    first, last = plan.curve[0], plan.curve[-1]
    low, high = (effect_of(plan.metric, point.effect) for point in (first, last))
    most_word, least_word = (_rounded(round(point.mean)) for point in (first, last))
    return f"{low} {bars} {high}: from {most_word} to {least_word} {observations(plan.metric)} expected"


def _together(needs: Sequence[Needs]) -> Iterator[str]:
    """A promotion needs all of its claims."""
    favour = [claim for need in needs for claim in need.claims if not claim.claim.against]
    if len(favour) < 2:
        return
    least = max(0.0, 1 - sum(1 - claim.power for claim in favour))
    times = [claim.seconds for claim in favour]
    when = "" if None in times else f", within about {format_duration(max(1, round(max(_known(times)))))}"
    yield f"  all of them together, for a promotion: power at least {percent(least)}{when}"


def _known(times: Sequence[float | None]) -> list[float]:
    return [time for time in times if time is not None]


def _rounded(value: int) -> str:
    """Two significant digits: a plan is no more exact."""
    digits = max(len(str(value)) - 2, 0)
    return count(round(value, -digits))
