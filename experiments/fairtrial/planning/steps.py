"""A strategy as a sequence of splits."""

from __future__ import annotations

from collections.abc import Sequence

from fairtrial.controller.progression import Step
from fairtrial.experiment.model import Experiment


def steps_of(experiment: Experiment) -> tuple[Step, ...]:
    """The splits that the run goes through, in order; at least one."""
    spec = experiment.spec
    candidates = [candidate.name for candidate in spec.candidates]
    canary, ab_test = spec.strategy.canary, spec.strategy.ab_test
    if canary is not None:
        stages = [(step.set_weight, step.pause, step.min_requests) for step in canary.steps]
    else:
        assert ab_test is not None, "the model holds exactly one strategy"
        stages = [(ab_test.weight or 100 - 100 // (len(candidates) + 1), 0.0, 0)]
    return tuple(
        Step(f"step-{i}", {spec.baseline.name: 100 - weight, **_shared(weight, candidates)}, pause, least)
        for i, (weight, pause, least) in enumerate(stages, start=1)
    )


def _shared(weight: int, candidates: Sequence[str]) -> dict[str, int]:
    """Equal whole percentages; the first get what is left over."""
    each, over = divmod(weight, len(candidates))
    return {name: each + (i < over) for i, name in enumerate(candidates)}
