"""When production may be changed: windows that open by the clock, and freezes."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from fairtrial.experiment.base import Part, raise_mistakes
from fairtrial.experiment.quantities import QuantityError, describe
from fairtrial.experiment.quantity_types import Duration
from fairtrial.times import TimesError, check_cron, check_zone

_MOMENT = r"20[0-9]{2}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2})?"


def _moment(raw: object) -> str:
    if isinstance(raw, str) and re.fullmatch(_MOMENT, raw):
        try:
            datetime.fromisoformat(raw)
        except ValueError as error:
            raise QuantityError(f'"{raw}" is no day of the calendar, or no time of a day') from error
        return raw
    raise QuantityError(
        f"expected a day such as 2026-12-20, or a time of one such as 2026-12-20T18:00, got {describe(raw)}"
    )


#: A day, or a minute of one, on the clock of the schedule's time zone; as it is in the file.
Moment = Annotated[
    str,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "pattern": f"^{_MOMENT}$", "examples": ["2026-12-20"]}),
]


class Window(Part):
    """A time that comes again and again, in which a trial may go forward."""

    cron: str = Field(
        max_length=100,
        description="When it opens: minute, hour, day of the month, month, day of the week, as cron has it.",
        examples=["0 9 * * 1-5"],
    )
    lasts: Duration = Field(
        description="For how long it is open; the time passes as a stopwatch has it.", examples=["8h"]
    )

    @field_validator("cron")
    @classmethod
    def _comes(cls, cron: str) -> str:
        try:
            check_cron(cron)
        except TimesError as error:
            raise_mistakes([((), str(error))])
        return cron

    @field_validator("lasts")
    @classmethod
    def _some_time(cls, lasts: float) -> float:
        if lasts == 0:
            raise_mistakes([((), "expected more than 0s; leave the window out where it never opens")])
        return lasts


class Freeze(Part):
    """A time in which nothing goes forward, whichever window is open."""

    begins: Moment = Field(
        alias="from",
        description="The day at whose beginning it begins, or a minute.",
        examples=["2026-12-20", "2026-12-20T18:00"],
    )
    ends: Moment = Field(
        alias="to",
        description="The day at whose end it ends, or a minute.",
        examples=["2027-01-04", "2027-01-04T08:00"],
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        begins, ends = datetime.fromisoformat(self.begins), datetime.fromisoformat(self.ends)
        same_day = begins.date() == ends.date() and "T" not in self.ends
        if not (begins < ends or same_day):
            raise_mistakes([(("to",), f"not after the freeze begins, {self.begins}")])
        return self


class Schedule(Part):
    """When production may be changed. Nothing waits to return to the baseline."""

    time_zone: str = Field(
        default="UTC",
        min_length=1,
        description="Whose clock, by its name in the IANA database. Default: UTC.",
        examples=["Europe/Berlin"],
    )
    windows: tuple[Window, ...] = Field(
        default=(),
        min_length=1,
        max_length=50,
        description="When a trial may begin, take its next step and promote. Default: always.",
        examples=[[{"cron": "0 9 * * 1-5", "lasts": "8h"}]],
    )
    freezes: tuple[Freeze, ...] = Field(
        default=(),
        min_length=1,
        max_length=50,
        description="When it may not, though a window is open. Default: never.",
        examples=[[{"from": "2026-12-20", "to": "2027-01-04"}]],
    )

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            check_zone(name)
        except TimesError as error:
            raise_mistakes([((), str(error))])
        return name

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not {"windows", "freezes"} & self.model_fields_set:
            raise_mistakes(
                [((), "say windows, or freezes, or both; without either production is always open")]
            )
        return self
