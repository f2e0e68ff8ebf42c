"""A strategy as a sequence of splits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

from fairtrial.controller.allocation import divided
from fairtrial.controller.progression import Shadow, Step
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.strategy import UNIT, Bandit


def steps_of(experiment: Experiment) -> tuple[Step, ...]:
    """The splits that the run goes through, in order; at least one."""
    spec = experiment.spec
    candidates = [candidate.name for candidate in spec.candidates]
    baseline = spec.baseline.name
    canary, ab_test, shadow = spec.strategy.canary, spec.strategy.ab_test, spec.strategy.shadow
    if canary is not None:
        return tuple(
            Step(
                f"step-{i}", _divided(baseline, candidates, stage.set_weight), stage.pause, stage.min_requests
            )
            for i, stage in enumerate(canary.stages, start=1)
        )
    if ab_test is not None:
        weights = (
            {name: ab_test.weights[name] for name in (baseline, *candidates)} if ab_test.weights else None
        )
        share = ab_test.weight or 100 - 100 // (len(candidates) + 1)
        return (Step("step-1", weights or _divided(baseline, candidates, share), 0.0, 0),)
    if spec.strategy.bandit is not None:
        return tuple(_divisions((baseline, *candidates), spec.strategy.bandit))
    blue_green = spec.strategy.blue_green
    percent = shadow.percent if shadow is not None else 100
    unseen = shadow is not None or (blue_green is not None and blue_green.preview == "shadow")
    (candidate,) = candidates
    return (
        Step("step-1", {baseline: 100, candidate: 0}, 0.0, 0, Shadow(candidate, percent) if unseen else None),
    )


def _divisions(arms: Sequence[str], bandit: Bandit) -> Iterator[Step]:
    """Every division of the traffic that a bandit may come to; the first, with which it begins, is even."""
    units = bandit.units(len(arms))
    # Stars and bars: the bars' places among units and bars say how many units lie between two of them.
    places = combinations(range(units + len(arms) - 1), len(arms) - 1)
    shares = [
        [after - before - 1 for before, after in pairwise((-1, *bars, units + len(arms) - 1))]
        for bars in places
    ]
    even = divided(dict.fromkeys(arms, 1 / len(arms)), bandit.floor)
    found = [dict(zip(arms, (bandit.floor + UNIT * n for n in each), strict=True)) for each in shares]
    for weights in (even, *(each for each in found if each != even)):
        label = "-".join(str(percent) for percent in weights.values())
        yield Step(f"split-{label}", weights, bandit.every, bandit.min_requests)


def _divided(baseline: str, candidates: Sequence[str], share: int) -> dict[str, int]:
    return {baseline: 100 - share, **_shared(share, candidates)}


def _shared(weight: int, candidates: Sequence[str]) -> dict[str, int]:
    """Equal whole percentages; the first get what is left over."""
    each, over = divmod(weight, len(candidates))
    return {name: each + (i < over) for i, name in enumerate(candidates)}
