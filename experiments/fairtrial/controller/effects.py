"""Effects stand in the journal twice: before they are made, and once they are known to have happened."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from fairtrial.journal.entries import Effect, Entry, Kind
from fairtrial.journal.interface import RunJournal


@contextmanager
def effect(journal: RunJournal, what: Effect, **details: Any) -> Generator[dict[str, Any]]:
    """Journal the intent, let the body make the effect, journal that it happened.

    The body gets the details, and may add what is known only afterwards.

    When the body raises, only the intent stands: a resumed run makes the effect again, so every
    effect must be one that can be made twice.
    """
    journal.append(Kind.INTENDED, details, effect=what)
    yield details
    journal.append(Kind.DONE, details, effect=what)


def done(journal: RunJournal, what: Effect) -> Entry | None:
    """The entry that says that this effect has happened."""
    return next((entry for entry in journal.entries(Kind.DONE) if entry.effect is what), None)


def is_done(journal: RunJournal, what: Effect) -> bool:
    return done(journal, what) is not None


def is_intended(journal: RunJournal, what: Effect) -> bool:
    """Whether this effect was begun, by whichever process, and may have happened."""
    return any(entry.effect is what for entry in journal.entries(Kind.INTENDED))
