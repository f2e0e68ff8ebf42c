"""A run in a bounded time: how much of it the load may take, and what can be seen in that.

What a run rests on is fixed before its first look. So the time that is left is reckoned once, when the arms
are ready, and the horizon is planned for it; it is not cut short later.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from fairtrial.errors import NotReadyError, UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.quantities import format_duration
from fairtrial.judge.spec import Role
from fairtrial.judge.wording import effect_of, listed, metric_label, percent
from fairtrial.planning.calendar import Calendar
from fairtrial.planning.cut import too_short
from fairtrial.planning.needs import Needs, needs_of
from fairtrial.planning.plan import Plan, plan_of, rows_of

#: Seconds that the load process takes to start, and a run to write its documents and shut down.
_BEFORE, _AFTER = 5.0, 8.0
#: Seconds that a plan takes arms to need until they are ready.
TAKEN_TO_BE_READY = 15.0


@dataclass(frozen=True)
class Bound:
    """What a budget came to, as the journal has it."""

    budget: float  # seconds of the whole run
    max_duration: float  # seconds of load
    words: str  # what can be seen in them

    def of(self, plan: Plan) -> Plan:
        """The same plan with this horizon."""
        shorter = plan_of(bounded(plan.experiment, self.max_duration), plan.models, plan.stored)
        return replace(plan, experiment=shorter.experiment, claims=replace(shorter.claims, bound=self.words))


def check_budget(experiment: Experiment, budget: float) -> None:
    """Raises UsageError for a budget in which nothing can be done, and for what takes as long as it likes."""
    spec = experiment.spec
    if spec.traffic.live is not None:
        raise UsageError("--budget is of a load test; users' own requests come as they come")
    approval, blue_green = spec.approval, spec.strategy.blue_green
    if approval is not None and approval.required and approval.timeout is None and not spec.elsewhere:
        raise UsageError(
            "--budget: spec.approval waits for as long as it takes; say its timeout, which comes on top"
        )
    if blue_green is not None and blue_green.keep_for > 0 and not spec.elsewhere:
        kept = format_duration(blue_green.keep_for)
        raise UsageError(
            f"--budget: strategy.blueGreen keeps the baseline for {kept} after the verdict; say `keepFor: 0s`"
        )
    least = _BEFORE + _around(experiment) + _least_load(experiment)
    if budget < least:
        raise UsageError(
            f"--budget {format_duration(budget)}: starting, warm-up, the last answers and the report take "
            f"{format_duration(math.ceil(least))}; say more"
        )
    why = too_short(experiment, _whole_looks(experiment, budget - _BEFORE - _around(experiment)))
    if why is not None:
        raise UsageError(f"--budget {format_duration(budget)} {why}")


def check_open(experiment: Experiment, budget: float, now: float) -> None:
    """Raises NotReadyError where a run with this budget would have to wait: a budget waits for no window."""
    schedule = experiment.spec.schedule
    if schedule is None:
        return
    calendar, of = Calendar(schedule), f"--budget {format_duration(budget)}"
    why = calendar.why_closed(now)
    if why is not None:
        raise NotReadyError(f"{of}: {why}; run it then, or without a budget, and it waits")
    closes = calendar.closes(now)
    if closes is not None and closes < now + budget:
        again = calendar.why_closed(closes)
        raise NotReadyError(
            f"{of}: spec.schedule lets nothing be promoted from {calendar.in_words(closes)} on, and {again}; "
            "run it then, or without a budget, and it waits"
        )


def bounded(experiment: Experiment, seconds: float) -> Experiment:
    """The experiment with a load of at most so many seconds."""
    traffic = experiment.spec.traffic
    load = traffic.driven
    shorter = load.model_copy(update={"max_duration": min(load.max_duration, seconds)})
    spec = experiment.spec.model_copy(update={"traffic": traffic.model_copy(update={"load_test": shorter})})
    return experiment.model_copy(update={"spec": spec})


def bound_of(plan: Plan, budget: float, spent: float) -> Bound:
    """What is left for the load once `spent` seconds of the budget are over.

    Raises NotReadyError if that is nothing, or too little of the load to be judged.
    """
    ready = f"the arms took {format_duration(round(spent))} to be ready"
    left = budget - spent - _BEFORE - _around(plan.experiment)
    if left < _least_load(plan.experiment):
        raise NotReadyError(
            f"{ready}, and of the budget of {format_duration(budget)} nothing is left for the load: say more"
        )
    seconds = _whole_looks(plan.experiment, left)
    why = too_short(plan.experiment, seconds)
    if why is not None:
        raise NotReadyError(f"{ready}, and the budget of {format_duration(budget)} {why}")
    plain = Bound(budget, seconds, "")
    return replace(plain, words=_in_words(plain, plain.of(plan)))


def end_of_load(experiment: Experiment, budget: float) -> float:
    """Seconds after its start at which a run must ask its load to end, whatever has held it up."""
    return budget - _around(experiment)


def _whole_looks(experiment: Experiment, left: float) -> float:
    """Seconds of load in the seconds that are left for it."""
    interval = experiment.spec.analysis.look_interval
    return min(experiment.spec.traffic.driven.max_duration, math.floor(left / interval) * interval)


def _around(experiment: Experiment) -> float:
    return _AFTER + experiment.spec.traffic.driven.timeout


def _least_load(experiment: Experiment) -> float:
    analysis = experiment.spec.analysis
    warm_up = analysis.warm_up if analysis.warm_up != "auto" else 0.0
    return warm_up + max(1.0, analysis.look_interval)


def _in_words(bound: Bound, plan: Plan) -> str:
    """ "The budget of 60s leaves 40s of load, in which ... are shown at 80% power"."""
    head = (
        f"The budget of {format_duration(bound.budget)} leaves {format_duration(bound.max_duration)} of load"
    )
    seen = list(_seen(plan))
    power = percent(plan.claims.power)
    return f"{head}, in which by typical figures, at {power} power, these can be shown: {listed(seen)}."


def _seen(plan: Plan) -> Iterator[str]:
    """What change of each metric the horizon shows."""
    undesigned = tuple(replace(metric, design_effect=None) for metric in plan.claims.metrics)
    claims = replace(plan.claims, metrics=undesigned)
    for need in needs_of(plan.experiment, claims, plan.steps, rows_of(plan.experiment), None):
        if need.chosen:
            yield _of_metric(need)


def _of_metric(need: Needs) -> str:
    metric = need.metric
    wanted, word = ("met", "gain") if metric.role is Role.OBJECTIVE else ("harmed", "regression")
    effect = next((claim.effect for claim in need.claims if claim.claim.name == wanted), None)
    if effect is None:
        return f"no {word} of any size in {metric_label(metric)}"
    return f"a {word} of {effect_of(metric, effect, sign=False)} or more in {metric_label(metric)}"
