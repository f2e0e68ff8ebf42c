"""What is told while an image is made or moved."""

from __future__ import annotations

from collections.abc import Callable

#: Takes one line.
Progress = Callable[[str], None]


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def silent(_line: str) -> None:
    """Tells nobody."""
