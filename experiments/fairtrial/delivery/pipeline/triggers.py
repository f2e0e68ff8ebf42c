"""What starts a delivery, and what is done about it."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator

from fairtrial.delivery.triggers.labels import pattern_of
from fairtrial.experiment.base import DnsLabel, Mistake, Part, raise_mistakes
from fairtrial.experiment.notifications import Secret
from fairtrial.experiment.quantities import QuantityError, describe, format_duration, parse_duration
from fairtrial.experiment.quantity_types import Duration
from fairtrial.times import TimesError, check_cron, check_zone

#: What is done about an event, in the order in which it is said.
Reaction: TypeAlias = Literal["tryNext", "rollBack", "retrain", "notify"]

_DAYS = re.compile(r"([0-9]+(?:\.[0-9]+)?)d")


def _age(raw: object) -> float:
    if isinstance(raw, str) and (days := _DAYS.fullmatch(raw)):
        return float(days[1]) * 86400
    try:
        return parse_duration(raw)
    except QuantityError as error:
        raise QuantityError(f"expected an age such as 30d or 12h, got {describe(raw)}") from error


def _format_age(seconds: float) -> str:
    days = seconds / 86400
    return f"{days:.0f}d" if seconds and days.is_integer() else format_duration(seconds)


#: Seconds; days in files.
Age = Annotated[
    float,
    BeforeValidator(_age),
    PlainSerializer(_format_age, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 2, "examples": ["30d", "12h"]}),
]


class RegistryWebhook(Part):
    """The registry's own webhook at /registry of the listener, so that nothing waits for the next poll."""

    secret: Secret = Field(
        description="What its messages are signed with.", examples=[{"env": "MLFLOW_WEBHOOK_SECRET"}]
    )


class RegistryTrigger(Part):
    """A version gets the challenger's alias."""

    every: Duration = Field(
        default=30.0, gt=0, description="How often the registry is asked. Default: 30s.", examples=["30s"]
    )
    webhook: RegistryWebhook | None = Field(
        default=None,
        description="Have the registry tell us as well. Default: it is only asked.",
        examples=[{"secret": {"env": "MLFLOW_WEBHOOK_SECRET"}}],
    )


class AlertTrigger(Part):
    """Alertmanager's webhook at /alerts of the listener: an alert that fires."""

    match: dict[str, str] = Field(
        min_length=1,
        description="Labels that an alert must have; a value between slashes is a regular expression.",
        examples=[{"alertname": "ModelDegraded", "model": "wine"}],
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        found: list[Mistake] = []
        for label, wanted in self.match.items():
            try:
                pattern_of(wanted)
            except re.error as error:
                found.append((("match", label), f"is no regular expression: {error}"))
        raise_mistakes(found)
        return self


class CloudEventTrigger(Part):
    """A CloudEvent posted to /events of the listener."""

    type: str = Field(
        min_length=1, description="The event's type; * at the end is any.", examples=["io.seldon.drift"]
    )
    source: str | None = Field(
        default=None,
        min_length=1,
        description="The event's source; * at the end is any. Default: any.",
        examples=["/monitoring/*"],
    )


class ScheduleTrigger(Part):
    """A time of the clock."""

    cron: str = Field(
        max_length=100,
        description="Minute, hour, day of the month, month, day of the week, as cron has them.",
        examples=["0 3 * * 1"],
    )
    time_zone: str = Field(
        default="UTC",
        min_length=1,
        description="Whose clock, by its name in the IANA database. Default: UTC.",
        examples=["Europe/Berlin"],
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        found: list[Mistake] = []
        checks = (("cron", check_cron, self.cron), ("timeZone", check_zone, self.time_zone))
        for field, check, value in checks:
            try:
                check(value)
            except TimesError as error:
                found.append(((field,), str(error)))
        raise_mistakes(found)
        return self


class ExpiryTrigger(Part):
    """The version in service is older than it may be."""

    time_to_live: Age = Field(gt=0, description="From its promotion on.", examples=["30d"])


_KINDS = ("registry", "alert", "cloudEvent", "schedule", "expiry")


class Trigger(Part):
    """One of `registry`, `alert`, `cloudEvent`, `schedule` and `expiry`, and what is done about it."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [kind]} for kind in _KINDS]})

    name: DnsLabel = Field(description="What it is called in the history.", examples=["degraded"])
    registry: RegistryTrigger | None = Field(
        default=None, description="A version gets the challenger's alias.", examples=[{"every": "30s"}]
    )
    alert: AlertTrigger | None = Field(
        default=None,
        description="An alert of Alertmanager fires.",
        examples=[{"match": {"alertname": "ModelDegraded"}}],
    )
    cloud_event: CloudEventTrigger | None = Field(
        default=None, description="A CloudEvent comes.", examples=[{"type": "io.seldon.drift"}]
    )
    schedule: ScheduleTrigger | None = Field(
        default=None, description="A time comes.", examples=[{"cron": "0 3 * * 1"}]
    )
    expiry: ExpiryTrigger | None = Field(
        default=None, description="What serves is too old.", examples=[{"timeToLive": "30d"}]
    )
    do: tuple[Reaction, ...] | None = Field(
        default=None,
        min_length=1,
        description="What is done, in this order: tryNext (the newest version that was not tried), rollBack "
        "(to the last good one), retrain (as spec.retrain says), notify. A registry trigger tries the "
        "version that got the alias.",
        examples=[["rollBack", "notify"]],
    )

    @property
    def kind(self) -> str:
        """Which of the five it is."""
        return self._said()[0]

    def _said(self) -> list[str]:
        values = (self.registry, self.alert, self.cloud_event, self.schedule, self.expiry)
        return [kind for kind, value in zip(_KINDS, values, strict=True) if value is not None]

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        said = self._said()
        if not said:
            raise_mistakes([((), f"say what it waits for: one of {', '.join(_KINDS)}")])
        found: list[Mistake] = [
            ((kind,), f"{said[0]} is said already; a trigger is one of the two") for kind in said[1:]
        ]
        if said[0] == "registry" and self.do is not None:
            found.append((("do",), "a registry trigger tries the version that got the alias; leave this out"))
        if said[0] != "registry" and self.do is None:
            found.append((("do",), "required: what is done, such as [rollBack, notify]"))
        raise_mistakes(found)
        return self
