"""Why a batch cannot be scored, in words."""

from __future__ import annotations

import errno

from fairtrial_servers.errors import ServerError


class ScoreError(ServerError):
    """Options that contradict one another, data that cannot be read, an output that cannot be written."""


class RowError(ScoreError):
    """A row that the model does not take. `row` counts from 0."""

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message)
        self.row = row


def writing_failed(place: object, error: OSError) -> ScoreError:
    """What to say when `place` cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ScoreError(
            f"no space left to write {place}: free some and start again; what is scored so far is kept"
        )
    return ScoreError(f"cannot write {place}: {error.strerror or error}")


def first_line(error: Exception) -> str:
    """A library's words, without its stack of contexts."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def listed(names: list[str], most: int = 8) -> str:
    """Names for a message: the first few, and how many more."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
