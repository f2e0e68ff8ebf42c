"""How users' traffic is divided while the trial runs."""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict, Field, model_validator

from fairtrial.experiment.base import Part, Whole, raise_mistakes
from fairtrial.experiment.quantity_types import Duration, Weight


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
    min_requests: Whole = Field(
        default=100,
        ge=0,
        le=1_000_000_000,
        description="Requests that each arm must have answered during this step, replayed pairs included, "
        "before the next one. Default: 100.",
        examples=[100],
    )


class Canary(Part):
    """Raise the candidate's weight step by step, as long as nothing speaks against it."""

    steps: tuple[CanaryStep, ...] = Field(
        min_length=1, max_length=100, description="With rising weights.", examples=[[{"setWeight": 10}]]
    )

    @model_validator(mode="after")
    def _rise(self) -> Self:
        weights = [step.set_weight for step in self.steps]
        raise_mistakes(
            (("steps", i, "setWeight"), f"weights must rise, and {weights[i]} follows {weights[i - 1]}")
            for i in range(1, len(weights))
            if weights[i] <= weights[i - 1]
        )
        return self


class AbTest(Part):
    """Divide the traffic once and for the whole trial."""

    weight: Weight | None = Field(
        default=None,
        description="The candidates' share of the traffic together, in whole percent. "
        "Default: equal shares for all arms.",
        examples=["50%"],
    )

    @model_validator(mode="after")
    def _leave_some(self) -> Self:
        if self.weight == 100:
            raise_mistakes([(("weight",), "100% leaves the baseline without traffic; at most 99%")])
        return self


class Strategy(Part):
    """Exactly one of the strategies."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["canary"]}, {"required": ["abTest"]}]},
    )

    canary: Canary | None = Field(
        default=None,
        description="Raise the candidate's weight step by step.",
        examples=[{"steps": [{"setWeight": 10}, {"setWeight": 50}]}],
    )
    ab_test: AbTest | None = Field(
        default=None, description="One split for the whole trial.", examples=[{"weight": "50%"}]
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.canary is None) == (self.ab_test is None):
            raise_mistakes([((), "expected exactly one strategy, canary or abTest")])
        return self
