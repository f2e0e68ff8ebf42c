"""What an explanation is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paragraph:
    """A heading, a sentence or two, and what there is to list under them."""

    heading: str
    text: str
    points: tuple[str, ...] = ()
