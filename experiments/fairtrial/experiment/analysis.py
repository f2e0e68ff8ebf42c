"""How the evidence is weighed."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from fairtrial.experiment.base import Mistake, Part, Whole, raise_mistakes
from fairtrial.experiment.quantity_types import Duration, DurationOrAuto, Fraction


class Analysis(Part):
    """Rates of error, and when to look."""

    false_positive_rate: Fraction = Field(
        default=0.05,
        description="How often, at most, a claim is accepted that is not true, however often the evidence is "
        "looked at. Default: 5%.",
        examples=["5%"],
    )
    power: Fraction = Field(
        default=0.8,
        description="How often a true effect of the size designEffect is found. Default: 80%.",
        examples=["80%"],
    )
    method: Literal["sequential", "alwaysValid", "groupSequential", "fixedHorizon"] = Field(
        default="sequential",
        description="sequential: judged at every look, with a boundary calibrated to the horizon. "
        "alwaysValid: at every look and for ever, with more requests. groupSequential: at a few "
        "planned looks. fixedHorizon: once, when all the data are there. Default: sequential.",
        examples=["sequential"],
    )
    looks: Whole = Field(
        default=5,
        ge=2,
        le=50,
        description="Planned looks of groupSequential. Default: 5.",
        examples=[5],
    )
    spending: Literal["obrienFleming", "pocock"] = Field(
        default="obrienFleming",
        description="How groupSequential spends its rate: obrienFleming keeps most of it for the end, pocock "
        "spreads it evenly. Default: obrienFleming.",
        examples=["pocock"],
    )
    unit: Literal["request", "user"] = Field(
        default="request",
        description="What is assigned to an arm and compared: each request, or each user (requests.unit, "
        "with `sticky`), whose requests are not independent of each other. Default: request.",
        examples=["user"],
    )
    full_cycle: Duration = Field(
        default=0.0,
        description="No promotion before so much time has been seen, a day or a week of live traffic, say. "
        "Default: 0s.",
        examples=["24h"],
    )
    look_interval: Duration = Field(
        default=1.0, description="Time between looks at the evidence. Default: 1s.", examples=["1s"]
    )
    warm_up: DurationOrAuto = Field(
        default=0.0,
        description="Observations of this first part of the load are not judged. auto: found from the first "
        "latencies (MSER), before anything is judged. Default: 0s.",
        examples=["5s"],
    )
    min_requests: Whole = Field(
        default=100,
        ge=1,
        le=1_000_000_000,
        description="Requests that each arm must have answered before the first look. Default: 100.",
        examples=[100],
    )
    seed: Whole = Field(
        default=0,
        ge=0,
        le=2**32 - 1,
        description="Seed of all that is random: arrivals, the order of rows and of pairs. Default: 0.",
        examples=[0],
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        found: list[Mistake] = []
        if not 0 < self.false_positive_rate < 0.5:
            found.append((("falsePositiveRate",), "expected more than 0% and less than 50%"))
        if not 0.5 <= self.power < 1:
            found.append((("power",), "expected at least 50% and less than 100%"))
        if self.look_interval < 0.1:
            found.append((("lookInterval",), "expected at least 100ms"))
        raise_mistakes(found)
        return self


class Abort(Part):
    """Limits that end the trial at once, before any test would."""

    error_rate: Fraction = Field(
        description="A candidate whose error rate exceeds this is rolled back at once.", examples=["50%"]
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not 0 < self.error_rate < 1:
            raise_mistakes([(("errorRate",), "expected more than 0% and less than 100%")])
        return self
