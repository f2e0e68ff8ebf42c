"""How a pipeline stands on a cluster: the `status` of its resource.

Two write it, each its own fields: the operator, and the pod that watches the pipeline.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from fairtrial.experiment.base import Part


class Phase(StrEnum):
    """Where a pipeline is."""

    PENDING = "Pending"
    REFUSED = "Refused"
    STARTING = "Starting"
    WATCHING = "Watching"
    NOT_READY = "NotReady"


class Condition(Part):
    """One thing that is true of the pipeline, or not, or not known."""

    type: Literal["Accepted", "Ready"] = Field(
        description="Accepted: the spec can be watched, and its objects are as it wants. Ready: its pod is."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(description="Why, in one word, for programs.")
    message: str = Field(default="", description="Why, in words.")
    last_transition_time: str = Field(description="When it last changed between holding and not holding.")
    observed_generation: int | None = Field(
        default=None, description="The version of the spec that it is of."
    )


class Last(Part):
    """The newest entry of the history."""

    action: str | None = Field(default=None, description="What was done, such as promoted.")
    version: str | None = Field(default=None, description="Of which version.")
    time: str | None = Field(default=None, description="When.", json_schema_extra={"format": "date-time"})
    why: str | None = Field(default=None, description="Why, in words.")


class Standing(Part):
    """How the pipeline stands; written by the operator and by the pod."""

    observed_generation: int | None = Field(
        default=None, description="The version of the spec that phase and message are about."
    )
    phase: Phase = Field(
        default=Phase.PENDING,
        description="Where the pipeline is. Refused: the spec has mistakes, and what ran before still runs.",
    )
    message: str = Field(default="", description="Where it is, in a sentence.")
    conditions: list[Condition] | None = Field(
        default=None,
        description="What is true of the pipeline.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
    in_service: str | None = Field(
        default=None, description="The version in service; written by the pod, as what follows."
    )
    since: str | None = Field(
        default=None, description="Since when it is.", json_schema_extra={"format": "date-time"}
    )
    last: Last | None = Field(default=None, description="The newest entry of the history.")
