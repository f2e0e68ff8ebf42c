"""Whether somebody asked for the end of a run."""

from __future__ import annotations

from fairtrial.errors import AbortedError
from fairtrial.journal.entries import Kind
from fairtrial.journal.interface import RunJournal


def raise_if_aborted(journal: RunJournal, run: str) -> None:
    """Raises AbortedError. run: its id."""
    asked = journal.last(Kind.ABORT)
    if asked is not None:
        why = asked.body.get("message")
        raise AbortedError(f"run {run} was aborted {f'as {why}' if why else 'on request'}")
