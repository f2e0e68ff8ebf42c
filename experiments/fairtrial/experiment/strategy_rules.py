"""What a strategy demands of the rest of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fairtrial.experiment.base import Mistake
from fairtrial.experiment.metrics import Metric
from fairtrial.experiment.strategy import Bandit, Strategy

#: Ways to divide the traffic that a plan names beforehand.
_MOST_DIVISIONS = 2000


def mistakes_with_arms(strategy: Strategy, baseline: str, candidates: tuple[str, ...]) -> Iterator[Mistake]:
    """What does not go together with the arms, by its path within the strategy."""
    canary, ab_test = strategy.canary, strategy.ab_test
    arms = len(candidates)
    shares: list[tuple[tuple[str | int, ...], int | None]] = []
    if canary is not None and canary.steps is not None:
        shares = [(("canary", "steps", i, "setWeight"), s.set_weight) for i, s in enumerate(canary.steps)]
    elif canary is not None:
        shares = [(("canary", "stepWeight"), canary.step_weight)]
    elif ab_test is not None:
        shares = [(("abTest", "weight"), ab_test.weight)]
    for path, share in shares:
        if share is not None and share < arms:
            yield path, f"{arms} candidates need at least {arms}%, one each; it is {share}%"
    if ab_test is not None and ab_test.weights is not None:
        yield from _of_weights(ab_test.weights, (baseline, *candidates))
    if strategy.shadow is not None and arms > 1:
        yield ("shadow",), f"Seldon Core takes one shadow at most, and there are {arms} candidates"
    if strategy.blue_green is not None and arms > 1:
        yield ("blueGreen",), f"blueGreen exchanges two versions, and there are {arms} candidates"
    if strategy.bandit is not None:
        yield from _of_bandit(strategy.bandit, arms + 1)


def _of_bandit(bandit: Bandit, arms: int) -> Iterator[Mistake]:
    if bandit.floor * arms >= 100:
        yield ("bandit", "floor"), f"{bandit.floor}% for each of {arms} arms leaves nothing to divide"
    elif bandit.divisions(arms) > _MOST_DIVISIONS:
        yield (
            ("bandit", "floor"),
            f"{arms} arms at no less than {bandit.floor}% can share the traffic in "
            f"{bandit.divisions(arms):,} ways, more than {_MOST_DIVISIONS:,}; raise it",
        )


def mistakes_of_reward(bandit: Bandit, metrics: tuple[Metric, ...]) -> Iterator[Mistake]:
    """What a bandit lacks among the metrics; the paths are empty."""
    objectives = [metric.name for metric in metrics if metric.role == "objective"]
    if not objectives:
        yield (), "strategy.bandit divides the traffic by an objective; add one, or say `role: objective`"
    elif bandit.reward is not None and bandit.reward not in objectives:
        named = ", ".join(objectives)
        yield (), f'strategy.bandit.reward: "{bandit.reward}" is no objective here; there are {named}'


def _of_weights(weights: Mapping[str, int], arms: tuple[str, ...]) -> Iterator[Mistake]:
    strangers = [name for name in weights if name not in arms]
    for name in strangers:
        yield ("abTest", "weights", name), f"no arm is called so; there are {', '.join(arms)}"
    lacking = [name for name in arms if name not in weights]
    if lacking and not strangers:
        yield ("abTest", "weights"), f"say a weight for {' and '.join(lacking)} too"
