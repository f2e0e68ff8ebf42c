"""Whether a person has to say yes before a candidate takes over."""

from __future__ import annotations

from pydantic import Field, field_validator

from fairtrial.experiment.base import Part, raise_mistakes
from fairtrial.experiment.quantity_types import Duration


class Approval(Part):
    """A gate before a promotion. Nothing waits to return to the baseline."""

    required: bool = Field(
        default=True,
        description="Whether a promotion waits until somebody says yes (`fairtrial approve`). Default: true.",
    )
    timeout: Duration | None = Field(
        default=None,
        description="How long it waits; then the run ends as if it had been aborted, at the baseline. "
        "Default: for as long as it takes.",
        examples=["12h"],
    )

    @field_validator("timeout")
    @classmethod
    def _some_time(cls, timeout: float | None) -> float | None:
        if timeout == 0:
            raise_mistakes([((), "expected more than 0s; leave it out to wait for as long as it takes")])
        return timeout
