"""A strategy as a sequence of splits."""

from __future__ import annotations

from fairtrial.controller.progression import Step
from fairtrial.experiment.model import Experiment


def steps_of(experiment: Experiment) -> tuple[Step, ...]:
    """The splits that the run goes through, in order; at least one."""
    spec = experiment.spec
    canary, ab_test = spec.strategy.canary, spec.strategy.ab_test
    if canary is not None:
        stages = [(step.set_weight, step.pause, step.min_requests) for step in canary.steps]
    else:
        assert ab_test is not None, "the model holds exactly one strategy"
        stages = [(ab_test.weight, 0.0, 0)]
    baseline, candidate = spec.baseline.name, spec.candidate.name
    return tuple(
        Step(f"step-{i}", {baseline: 100 - weight, candidate: weight}, pause, min_requests)
        for i, (weight, pause, min_requests) in enumerate(stages, start=1)
    )
