"""How an experiment stands on a cluster: the `status` of its resource, written by the operator alone."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from fairtrial.experiment.base import Part


class Phase(StrEnum):
    """Where an experiment is. From PROMOTED on only a change of the spec or a retry leads on."""

    PENDING = "Pending"
    REFUSED = "Refused"
    DEPLOYING = "Deploying"
    RUNNING = "Running"
    PAUSED = "Paused"
    AWAITING_APPROVAL = "AwaitingApproval"
    AWAITING_WINDOW = "AwaitingWindow"
    RETURNING = "Returning"
    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    INCONCLUSIVE = "Inconclusive"
    ABORTED = "Aborted"
    FAILED = "Failed"


class Condition(Part):
    """One thing that is true of the experiment, or not, or not known."""

    type: Literal["Accepted", "Serving", "Evidence", "Progressing", "Complete"] = Field(
        description="Accepted: the spec can be run, and no other experiment holds its SeldonDeployment. "
        "Serving: the arms are ready. Evidence: observations come in. Progressing: nothing keeps the run "
        "from its next step. Complete: the verdict is acted upon."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(description="Why, in one word, for programs.")
    message: str = Field(default="", description="Why, in words.")
    last_transition_time: str = Field(description="When it last changed between holding and not holding.")
    observed_generation: int | None = Field(
        default=None, description="The version of the spec that it is of."
    )


class RunStatus(Part):
    """The run of the experiment that there is, or was last: a new spec or a retry begins another."""

    id: str = Field(description="Its name.")
    attempt: int = Field(description="How many runs this experiment has had, with it.")
    generation: int = Field(description="The version of the spec that it tries.")
    started: str = Field(description="When it began.")
    deployment: dict[str, Any] | None = Field(
        default=None, description="The SeldonDeployment that spec.deployment names, as it was then."
    )
    ended: str | None = Field(default=None, description="When it came to its end.")
    kept: bool | None = Field(
        default=None, description="Whether it has left the traffic divided, as onInconclusive: hold does."
    )
    approved: bool | None = Field(default=None, description="Whether somebody has approved its promotion.")
    doubt: str | None = Field(
        default=None, description="Why a promotion needs somebody's approval, whatever the verdict."
    )
    spec: dict[str, Any] = Field(
        description="The spec that it tries, as it was when it began: what returns to the baseline when the "
        "resource says another by then.",
    )


class Standing(Part):
    """How the experiment stands; written by the operator."""

    observed_generation: int | None = Field(
        default=None, description="The version of the spec that all this is about."
    )
    phase: Phase = Field(default=Phase.PENDING, description="Where the experiment is.")
    message: str = Field(default="", description="Where it is, in a sentence.")
    step: str | None = Field(default=None, description="Which step of how many, such as 2/3.")
    weights: dict[str, int] | None = Field(default=None, description="Percent of the traffic, by arm.")
    split: str | None = Field(default=None, description="The weights in words, such as v1 90, v2 10.")
    verdict: dict[str, Any] | None = Field(
        default=None,
        description="The latest verdict, as in verdict.json: CONTINUE until it is final.",
    )
    candidates: list[dict[str, Any]] | None = Field(
        default=None,
        description="Of several candidates, the final verdict on each.",
    )
    conditions: list[Condition] | None = Field(
        default=None,
        description="What is true of the experiment.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
    operator: str | None = Field(
        default=None, description="The replica of the operator that works on it, or was the last to."
    )
    run: RunStatus | None = Field(default=None, description="The run that there is, or was last.")
    journal: list[dict[str, Any]] | None = Field(
        default=None,
        description="What the run has meant to do and has done, in order: what it is resumed from.",
    )
