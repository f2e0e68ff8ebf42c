"""What keeps a caller on one arm."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from fairtrial.experiment.base import Part, raise_mistakes
from fairtrial.experiment.quantity_types import Duration

_Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", max_length=100)]


class Cookie(Part):
    """A caller without the cookie is given one, whose value is drawn at random."""

    name: _Token = Field(description="The cookie's name.", examples=["fairtrial"])
    ttl: Duration = Field(
        default=30 * 86_400.0,
        description="How long a browser keeps it. Default: 720h.",
        examples=["24h"],
    )

    @model_validator(mode="after")
    def _lasting(self) -> Self:
        raise_mistakes([(("ttl",), "expected at least 1s")] if self.ttl < 1 else [])
        return self


class Sticky(Part):
    """Keep a caller on one arm: exactly one of the three."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [name]} for name in ("header", "cookie", "key")]},
    )

    header: _Token | None = Field(
        default=None,
        description="Requests with the same value of this header go to the same arm; those without it are "
        "sent at random.",
        examples=["x-user"],
    )
    cookie: Cookie | None = Field(
        default=None,
        description="Requests with the same value of this cookie go to the same arm.",
        examples=[{"name": "fairtrial", "ttl": "24h"}],
    )
    key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.~-]+$", max_length=100)] | None = Field(
        default=None,
        description="Requests with the same value of this parameter of the query string go to the same arm; "
        "those without it are sent at random.",
        examples=["customer"],
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        said = [name for name in ("header", "cookie", "key") if getattr(self, name) is not None]
        if not said:
            raise_mistakes([((), "say what names the caller: one of header, cookie and key")])
        raise_mistakes(((name,), f"{said[0]} is said already; choose one of the two") for name in said[1:])
        return self
