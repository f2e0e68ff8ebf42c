"""A plan: all that follows from an experiment before anything is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fairtrial_graphs.backends.interface import Cookie, Route, Sticky
from fairtrial_graphs.build import answering, as_large_as, with_shadow, with_weights, without
from fairtrial_graphs.seldon.types import SeldonDeployment

from fairtrial.controller.allocation import reallocate
from fairtrial.controller.progression import Position, Step, advance
from fairtrial.errors import UsageError
from fairtrial.experiment.elsewhere import directly
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.quantities import format_duration
from fairtrial.journal.entries import Effect
from fairtrial.judge.spec import JudgeSpec, Role
from fairtrial.judge.verdict import Decision, Verdict
from fairtrial.planning.claims import claims_of
from fairtrial.planning.data import count_distinct, count_rows
from fairtrial.planning.deployment import deployment_of
from fairtrial.planning.models import Models
from fairtrial.planning.steps import steps_of
from fairtrial.planning.stored import Stored, with_stored

_ON_INCONCLUSIVE = {"rollback": Effect.ROLLBACK, "promote": Effect.PROMOTE, "hold": Effect.HOLD}


@dataclass(frozen=True)
class Plan:
    experiment: Experiment
    deployment: SeldonDeployment  # every arm; the traffic is set by each step
    steps: tuple[Step, ...]
    claims: JudgeSpec
    models: Models
    stored: Stored | None = None  # what the baseline answered in an earlier run; it is not deployed
    alone: str | None = None  # the one arm that is deployed

    @property
    def baseline(self) -> str:
        return self.experiment.spec.baseline.name

    @property
    def candidates(self) -> tuple[str, ...]:
        return tuple(candidate.name for candidate in self.experiment.spec.candidates)

    @property
    def elsewhere(self) -> bool:
        """Whether the arms are somebody else's: nothing is deployed, and nothing of theirs is changed."""
        return self.experiment.spec.elsewhere

    @property
    def acts(self) -> bool:
        """Whether a verdict changes what is served."""
        return not self.elsewhere and self.stored is None

    def at_step(self, number: int) -> tuple[SeldonDeployment, Route]:
        """What is to be served during a step."""
        step = self.steps[number]
        if self.alone is not None:
            return with_weights(self.deployment, {self.alone: 100}), self._route(step.revision)
        deployment, weights = self.deployment, dict(step.weights)
        if step.shadow is not None:
            deployment = with_shadow(deployment, step.shadow.arm, step.shadow.percent)
            del weights[step.shadow.arm]
        return with_weights(deployment, weights), self._route(step.revision)

    def advance(self, position: Position, verdicts: Sequence[Verdict]) -> Position:
        """Where the run stands after a look; verdicts: on each candidate that had no final one before."""
        bandit = self.experiment.spec.strategy.bandit
        if bandit is None:
            return advance(position, self.steps, verdicts)
        return reallocate(position, self.steps, verdicts, self.reward, bandit.floor)

    @property
    def reward(self) -> str:
        """The metric that a bandit divides the traffic by: its name."""
        bandit = self.experiment.spec.strategy.bandit
        objectives = (metric.name for metric in self.claims.metrics if metric.role is Role.OBJECTIVE)
        return bandit.reward if bandit is not None and bandit.reward is not None else next(objectives)

    @property
    def keep_for(self) -> float | None:
        """Seconds for which the baseline is kept beside the candidate that replaced it; None: it is not."""
        blue_green = self.experiment.spec.strategy.blue_green
        return blue_green.keep_for if blue_green is not None else None

    def switched(self, candidate: str) -> tuple[SeldonDeployment, Route]:
        """The candidate in service, and the baseline beside it, without traffic."""
        weights = {self.baseline: 0, candidate: 100}
        deployment = as_large_as(self.deployment, candidate, self.baseline)
        return with_weights(deployment, weights), self._route(Effect.SWITCH.value)

    def after(self, action: Effect, step: int, candidate: str) -> tuple[SeldonDeployment, Route]:
        """What is to be served once the verdict on this candidate, reached at `step`, is acted upon.

        An arm that lost is removed rather than given no traffic: Seldon moves no weight while any
        of a resource's Deployments is unready, and a candidate that crashes never is ready again.
        One that won gets the baseline's capacity with its place.
        """
        if action is Effect.HOLD:
            return self.at_step(step)
        winner = candidate if action is Effect.PROMOTE else self.baseline
        deployment = as_large_as(self.deployment, winner, self.baseline)
        for arm in (self.baseline, *self.candidates):
            if arm != winner:
                deployment = without(deployment, arm)
        return deployment, self._route(action.value)

    def action(self, decision: Decision) -> Effect:
        """What a final decision calls for."""
        if self.elsewhere:
            return Effect.HOLD
        if decision is Decision.PROMOTE:
            return Effect.PROMOTE
        if decision is Decision.ROLLBACK:
            action = Effect.ROLLBACK
        else:
            action = _ON_INCONCLUSIVE[self.experiment.spec.on_inconclusive]
        return self.retreat if action is Effect.ROLLBACK else action

    @property
    def retreat(self) -> Effect:
        """What is done where nothing is promoted."""
        return Effect.ROLLBACK if self.acts else Effect.HOLD

    def doing(self, action: Effect, candidate: str) -> str:
        """What is being done, in words."""
        if action is Effect.HOLD:
            return "leaving the split as it is" if self.acts else "leaving everything as it is"
        if action is Effect.SWITCH:
            return f"switching to {candidate}"
        return f"promoting {candidate}" if action is Effect.PROMOTE else f"returning to {self.baseline}"

    def describe(self, action: Effect, candidate: str) -> str:
        """What it means for users once it is done, in words."""
        if action is Effect.HOLD and self.elsewhere:
            return "the arms are run elsewhere: nothing is promoted there, and nothing rolled back"
        if self.stored is not None:
            taken = "is" if action is Effect.PROMOTE else "is not"
            return f"{candidate}, which alone was deployed, {taken} taken in place of {self.baseline}"
        if action is Effect.HOLD:
            return "the split stays as it is"
        if action is Effect.SWITCH:
            kept = format_duration(self.keep_for or 0.0)
            return f"all traffic goes to {candidate}; {self.baseline} is kept for {kept} to return to"
        if action is Effect.PROMOTE and self.keep_for is not None:
            return f"all traffic goes to {candidate}; {self.baseline} is removed"
        return f"all traffic goes to {candidate if action is Effect.PROMOTE else self.baseline}"

    def artifacts(self, candidate: str) -> Path:
        """The model files of a candidate. Raises UsageError if a deployment by hand says where they are."""
        for arm in self.experiment.spec.candidates:
            if arm.name == candidate and arm.model_uri is not None:
                return self.models.at(arm.model_uri)
        raise UsageError(f"spec.deployment says what {candidate} runs, so that it cannot be registered")

    def _route(self, revision: str) -> Route:
        sticky = self.experiment.spec.sticky
        if sticky is None:
            return Route(revision)
        cookie = Cookie(sticky.cookie.name, round(sticky.cookie.ttl)) if sticky.cookie else None
        return Route(revision, Sticky(sticky.header, cookie, sticky.key))


def rows_of(experiment: Experiment) -> int:
    """Rows that a load test replays; 0 for live traffic. Raises UsageError when they cannot be read."""
    if experiment.generate is not None:
        return experiment.generate.rows
    return 0 if experiment.data is None else count_rows(experiment.data)


def _users_of(experiment: Experiment) -> int | None:
    load_test = experiment.spec.traffic.load_test
    if load_test is None or experiment.data is None or load_test.requests.unit is None:
        return None
    return count_distinct(experiment.data, load_test.requests.unit)


def plan_of(
    experiment: Experiment,
    models: Models | None = None,
    stored: Stored | None = None,
    alone: str | None = None,
) -> Plan:
    """stored: what the baseline answered in an earlier run, in place of its deployment. alone: the one arm
    that is deployed. A model that is elsewhere is fetched where its format is not said.

    Raises UsageError when a model, the manifest or the data cannot be found or read, NotReadyError when
    what a model is fetched from does not answer, UnsafeModelError.
    """
    models = models or Models(experiment.folder)
    if stored is not None:
        alone = experiment.spec.candidates[0].name
    if experiment.spec.elsewhere or alone is not None:
        experiment = directly(experiment)
    steps = steps_of(experiment)
    claims = claims_of(experiment, steps, rows_of(experiment), _users_of(experiment))
    if stored is not None:
        claims = with_stored(claims, stored)
    deployed = (claims.baseline, *claims.candidates) if alone is None else (alone,)
    deployment = deployment_of(experiment, models, deployed)
    for arm in deployed:  # who answers is the strategy's to say, as the weights are
        deployment = answering(deployment, arm)
    return Plan(experiment, deployment, steps, claims, models, stored, alone)
