"""How the rate of a load test changes with time."""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict, Field, model_validator

from fairtrial.experiment.base import Mistake, Part, raise_mistakes
from fairtrial.experiment.quantity_types import Duration, Rate


def _lasting(description: str, *examples: str) -> Duration:
    """A field `for`, which Python has taken."""
    return Field(alias="for", description=description, examples=list(examples))


class Stage(Part):
    """A part of the load at one rate."""

    rate: Rate = Field(description="Arrivals a second, minute or hour.", examples=["50/s"])
    lasts: Duration = _lasting("How long it lasts.", "30s")


class Spike(Part):
    """A steady load with a peak in it."""

    base: Rate = Field(description="The rate before and after the peak.", examples=["50/s"])
    peak: Rate = Field(description="The rate of the peak.", examples=["500/s"])
    at: Duration = Field(description="When the peak begins.", examples=["30s"])
    lasts: Duration = _lasting("How long the peak lasts.", "10s")


class Soak(Part):
    """One rate for hours, to see what time does to a server."""

    rate: Rate = Field(description="Arrivals a second, minute or hour.", examples=["50/s"])
    lasts: Duration = _lasting("How long it lasts, the ramp included.", "8h")
    ramp_up: Duration = Field(
        default=0.0,
        description="The time in which the rate rises evenly from nothing. Default: 0s.",
        examples=["5m"],
    )


class Trace(Part):
    """The moments of requests that were recorded, such as yesterday's."""

    file: str = Field(
        pattern=r"\.(parquet|csv|jsonl|log)$",
        description="A table with a column of times (.parquet, .csv, .jsonl) or an access log (.log); a path "
        "relative to this file.",
        examples=["access.csv"],
    )
    time: str = Field(
        default="time",
        min_length=1,
        description="The column of times: timestamps, seconds, or ISO 8601 texts. Default: time.",
        examples=["timestamp"],
    )
    speed: float = Field(
        default=1.0,
        strict=True,
        gt=0,
        le=1e6,
        description="Times as fast as it was recorded. Default: 1.0.",
        examples=[2.0],
    )


class Arrivals(Part):
    """Exactly one of the kinds."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [name]} for name in ("stepped", "spike", "soak", "trace")]},
    )

    stepped: tuple[Stage, ...] | None = Field(
        default=None,
        min_length=1,
        description="One rate after another.",
        examples=[[{"rate": "50/s", "for": "30s"}, {"rate": "100/s", "for": "30s"}]],
    )
    spike: Spike | None = Field(
        default=None,
        description="A steady load with a peak in it; it lasts until `maxDuration`.",
        examples=[{"base": "50/s", "peak": "500/s", "at": "30s", "for": "10s"}],
    )
    soak: Soak | None = Field(
        default=None, description="One rate for a long time.", examples=[{"rate": "50/s", "for": "8h"}]
    )
    trace: Trace | None = Field(
        default=None,
        description="The moments of recorded requests; until the last, or `maxDuration`.",
        examples=[{"file": "access.csv", "time": "timestamp", "speed": 2}],
    )

    @property
    def duration(self) -> float | None:
        """Seconds that it lasts by itself; None where `maxDuration` says that."""
        if self.stepped is not None:
            return sum(stage.lasts for stage in self.stepped)
        return self.soak.lasts if self.soak is not None else None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(kind is not None for _, kind in self) != 1:
            raise_mistakes([((), "expected exactly one kind: stepped, spike, soak or trace")])
        raise_mistakes(self._too_short())
        return self

    def _too_short(self) -> list[Mistake]:
        found: list[Mistake] = [
            (("stepped", i, "for"), "expected more than 0s")
            for i, stage in enumerate(self.stepped or ())
            if stage.lasts <= 0
        ]
        for name, part in (("spike", self.spike), ("soak", self.soak)):
            if part is not None and part.lasts <= 0:
                found.append(((name, "for"), "expected more than 0s"))
        if self.soak is not None and self.soak.ramp_up >= self.soak.lasts > 0:
            found.append((("soak", "rampUp"), "expected less than the time that the soak lasts"))
        return found
