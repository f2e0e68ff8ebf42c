"""What all parts of the experiment model share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

#: Type of the errors that `mistakes` raises; their context holds the list under `found`.
MISTAKES = "mistakes"


class Part(BaseModel):
    """A frozen part of the file: camelCase there, snake_case in Python, no unknown fields."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        serialize_by_alias=True,
        validate_by_alias=True,
        validate_by_name=True,
    )


#: A path below a value, and what is wrong there.
Mistake: TypeAlias = tuple[tuple[str | int, ...], str]


def raise_mistakes(found: Iterable[Mistake]) -> None:
    """Report mistakes between fields from within a validator, each at its path below the validated value."""
    listed = list(found)
    if listed:
        raise PydanticCustomError(
            MISTAKES, "{summary}", {"found": listed, "summary": "; ".join(message for _, message in listed)}
        )


#: A whole number that is neither a text, nor true, nor 3.0.
Whole = Annotated[int, Field(strict=True)]

#: A name as Kubernetes wants it.
DnsLabel = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
