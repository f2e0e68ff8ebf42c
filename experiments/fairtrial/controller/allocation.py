"""Where a bandit's traffic goes next: a pure function of the looks, as the step of a canary is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fairtrial.controller.progression import Position, Step, is_over
from fairtrial.experiment.strategy import UNIT
from fairtrial.judge.verdict import Decision, MetricResult, Verdict
from fairtrial.stats.best_arm import probability_best


def reallocate(
    position: Position, steps: Sequence[Step], verdicts: Sequence[Verdict], reward: str, floor: int
) -> Position:
    """The position after a look, which brought a verdict on each candidate that had no final one.

    steps: every division of the traffic that there may be, in any order. reward: the metric to divide by.
    floor: the least percent of an arm.
    The traffic stays as it is until the step is over and every candidate on trial has an estimate.
    """
    step = steps[position.step]
    on_trial = [verdict for verdict in verdicts if verdict.decision is Decision.CONTINUE]
    over = is_over(position, step, on_trial)
    if over is None:
        return position
    estimates = {verdict.candidate: _gain(_metric(verdict, reward)) for verdict in on_trial}
    known = {name: estimate for name, estimate in estimates.items() if estimate is not None}
    if len(known) < len(estimates):
        return position
    gains, errors = (np.array(values) for values in zip(*known.values(), strict=True))
    best = probability_best(gains, errors)
    chances = dict(zip((on_trial[0].baseline, *known), best.tolist(), strict=True))
    wanted = divided({arm: chances.get(arm, 0.0) for arm in step.weights}, floor)
    # `over` counts anew from here even where nothing moves: the next division is as far away as any.
    return replace(over, step=next(i for i, each in enumerate(steps) if each.weights == wanted))


def divided(chances: Mapping[str, float], floor: int) -> dict[str, int]:
    """Whole percent for each arm, summing to 100: the floor, and of the rest a share by its chance.

    chances: sum to 1. Shares are whole units; what is left over goes to the largest remainders, and of
    equal ones to the first.
    """
    units = (100 - floor * len(chances)) // UNIT
    exact = {arm: chance * units for arm, chance in chances.items()}
    whole = {arm: math.floor(share + 1e-9) for arm, share in exact.items()}
    left_over = units - sum(whole.values())
    for arm in sorted(exact, key=lambda arm: whole[arm] - exact[arm])[:left_over]:
        whole[arm] += 1
    return {arm: floor + UNIT * share for arm, share in whole.items()}


def _metric(verdict: Verdict, name: str) -> MetricResult:
    return next(metric for metric in verdict.metrics if metric.name == name)


def _gain(metric: MetricResult) -> tuple[float, float] | None:
    """(gain over the baseline, its standard error), larger is better; None while nothing can be said."""
    effect, error = metric.effect, metric.standard_error
    if effect is None or error is None or not math.isfinite(effect) or not 0 < error < math.inf:
        return None
    return (effect if metric.higher_is_better else -effect), error
