"""How users' traffic is divided while the trial runs."""

from __future__ import annotations

from collections.abc import Iterator
from math import comb
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from fairtrial.experiment.base import Mistake, Part, Whole, raise_mistakes
from fairtrial.experiment.quantity_types import Duration, Weight

#: Percent: a bandit's shares are multiples of it, so that they are finitely many and can be said beforehand.
UNIT = 5


_Requests = Annotated[Whole, Field(ge=0, le=1_000_000_000)]


class CanaryStep(Part):
    """One step: hold a weight until the step has run its time and has its data."""

    set_weight: Weight = Field(
        description="The candidates' share of the traffic together, in whole percent.",
        examples=[10, "50%"],
    )
    pause: Duration = Field(
        default=0.0,
        description="The shortest time at this step. Default: 0s.",
        examples=["30s"],
    )
    min_requests: _Requests = Field(
        default=100,
        description="Requests that each arm must have answered during this step, replayed pairs included, "
        "before the next one. Default: 100.",
        examples=[100],
    )


class Canary(Part):
    """Raise the candidate's weight step by step, as long as nothing speaks against it."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["steps"]}, {"required": ["stepWeight"]}]},
    )

    steps: tuple[CanaryStep, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="With rising weights. Or say stepWeight.",
        examples=[[{"setWeight": 10}]],
    )
    step_weight: Weight | None = Field(
        default=None,
        description="Instead of steps: the first weight, in whole percent, and how much each step adds.",
        examples=[10, "10%"],
    )
    max_weight: Weight = Field(
        default=50,
        description="With stepWeight: the weight of the last step. Default: 50.",
        examples=[50, "50%"],
    )
    pause: Duration = Field(
        default=0.0,
        description="With stepWeight: the shortest time at each step. Default: 0s.",
        examples=["30s"],
    )
    min_requests: _Requests = Field(
        default=100,
        description="With stepWeight: requests that each arm must have answered during each step, replayed "
        "pairs included. Default: 100.",
        examples=[100],
    )

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if self.steps is None:
            raise_mistakes(self._of_equal_steps())
            return self
        found: list[Mistake] = []
        if self.step_weight is not None:
            found.append((("stepWeight",), "steps say the weights already; remove one of the two"))
        found += [
            ((alias,), "belongs to stepWeight; each of the steps says its own")
            for name, alias in (
                ("max_weight", "maxWeight"),
                ("pause", "pause"),
                ("min_requests", "minRequests"),
            )
            if getattr(self, name) != type(self).model_fields[name].default and self.step_weight is None
        ]
        weights = [step.set_weight for step in self.steps]
        found += [
            (("steps", i, "setWeight"), f"weights must rise, and {weights[i]} follows {weights[i - 1]}")
            for i in range(1, len(weights))
            if weights[i] <= weights[i - 1]
        ]
        raise_mistakes(found)
        return self

    def _of_equal_steps(self) -> Iterator[Mistake]:
        if self.step_weight is None:
            yield (), "expected steps, such as [{setWeight: 10}], or stepWeight and maxWeight"
        elif self.max_weight < self.step_weight:
            said = "max_weight" in self.model_fields_set
            last = self.max_weight if said else f"{self.max_weight}, the default,"
            yield (
                ("maxWeight" if said else "stepWeight",),
                f"the last weight must not be below the first, and {last} is below {self.step_weight}",
            )

    @property
    def stages(self) -> tuple[CanaryStep, ...]:
        """The steps, however they were said."""
        if self.steps is not None:
            return self.steps
        assert self.step_weight is not None, "the model demands one of the two"
        rising = range(self.step_weight, self.max_weight, self.step_weight)
        return tuple(
            CanaryStep.model_construct(set_weight=weight, pause=self.pause, min_requests=self.min_requests)
            for weight in (*rising, self.max_weight)
        )


class AbTest(Part):
    """Divide the traffic once and for the whole trial."""

    weight: Weight | None = Field(
        default=None,
        description="The candidates' share of the traffic together, in whole percent. "
        "Default: equal shares for all arms.",
        examples=["50%"],
    )
    weights: dict[str, Weight] | None = Field(
        default=None,
        description="Instead of weight: the share of each arm, the baseline's too, in whole percent that sum "
        "to 100.",
        examples=[{"v1": 50, "v2": 30, "v3": 20}],
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        found: list[Mistake] = []
        if self.weight == 100:
            found.append((("weight",), "100% leaves the baseline without traffic; at most 99%"))
        if self.weights is not None:
            if self.weight is not None:
                found.append((("weight",), "weights say each arm's share already; remove one of the two"))
            if sum(self.weights.values()) != 100:
                found.append((("weights",), f"weights sum to 100, and these to {sum(self.weights.values())}"))
        raise_mistakes(found)
        return self


class Shadow(Part):
    """Send the candidate copies of users' requests; its answers reach nobody."""

    percent: Weight = Field(
        default=100,
        description="How many of the requests are copied, in whole percent. Default: 100.",
        examples=[100, "100%"],
    )


class BlueGreen(Part):
    """Try the candidate beside the baseline, without users; then switch once, and keep the way back open."""

    preview: Literal["loadTest", "shadow"] = Field(
        default="loadTest",
        description="What the candidate gets before the switch: loadTest, the load test's pairs at its own "
        "address; shadow, copies of users' requests as well. Default: loadTest.",
    )
    keep_for: Duration = Field(
        default=600.0,
        description="How long the baseline is kept after the switch, ready to take all traffic back at once. "
        "Default: 10m.",
        examples=["10m"],
    )


class Bandit(Part):
    """Give each arm a share of the traffic by how likely it is to be the best, anew all the while."""

    reward: str | None = Field(
        default=None,
        description="The objective that says which arm is best, by its name. Default: the first one.",
        examples=["accuracy"],
    )
    floor: Weight = Field(
        default=10,
        multiple_of=UNIT,
        description="The least share of an arm, the baseline's too, in whole percent; a multiple of 5. "
        "Default: 10%.",
        examples=[10, "10%"],
    )
    every: Duration = Field(
        default=5.0,
        description="The shortest time between two divisions of the traffic. Default: 5s.",
        examples=["30s"],
    )
    min_requests: _Requests = Field(
        default=100,
        description="Requests that each candidate must have answered between two divisions, replayed pairs "
        "included. Default: 100.",
        examples=[100],
    )

    def units(self, arms: int) -> int:
        """How many units of the traffic are left to divide once every arm has its floor."""
        return (100 - self.floor * arms) // UNIT

    def divisions(self, arms: int) -> int:
        """In how many ways that can be done."""
        return comb(self.units(arms) + arms - 1, arms - 1)


class Strategy(Part):
    """Exactly one of the strategies."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [name]} for name in ("canary", "abTest", "shadow", "blueGreen", "bandit")]
        },
    )

    canary: Canary | None = Field(
        default=None,
        description="Raise the candidate's weight step by step.",
        examples=[{"steps": [{"setWeight": 10}, {"setWeight": 50}]}],
    )
    ab_test: AbTest | None = Field(
        default=None, description="One split for the whole trial.", examples=[{"weight": "50%"}]
    )
    shadow: Shadow | None = Field(
        default=None,
        description="The candidate gets copies of users' requests, and answers nobody.",
        examples=[{"percent": 100}],
    )
    blue_green: BlueGreen | None = Field(
        default=None,
        description="One switch from the baseline to the candidate, after a trial without users.",
        examples=[{"preview": "loadTest", "keepFor": "10m"}],
    )
    bandit: Bandit | None = Field(
        default=None,
        description="Shares that follow the evidence.",
        examples=[{"floor": "10%", "every": "30s"}],
    )

    @property
    def without_users(self) -> str | None:
        """The strategy's name if no user meets the candidate before the verdict."""
        if self.shadow is not None:
            return "shadow"
        return "blueGreen" if self.blue_green is not None else None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(strategy is not None for _, strategy in self) != 1:
            raise_mistakes(
                [((), "expected exactly one strategy: canary, abTest, shadow, blueGreen or bandit")]
            )
        return self
