"""What a run waits for, by its journal alone."""

from __future__ import annotations

from collections.abc import Iterable

from fairtrial.journal.entries import Effect, Entry, Kind

_FORWARD = (Effect.DEPLOY, Effect.SHIFT, Effect.SWITCH, Effect.PROMOTE, Effect.ROLLBACK, Effect.HOLD)


def waits_for(entries: Iterable[Entry], now: float) -> str | None:
    """In words; None where nothing is missing. now: seconds since the epoch."""
    missing: dict[Kind, str] = {}
    for entry in entries:
        if entry.kind is Kind.HELD:
            missing[Kind.HELD] = f"the next step waits: {entry.body['reason']}"
        elif entry.kind is Kind.AWAITS_APPROVAL or (
            entry.kind is Kind.AWAITS_WINDOW and now < entry.body["until"]
        ):
            missing[entry.kind] = entry.body["reason"]
        elif entry.kind is Kind.APPROVED:
            missing.pop(Kind.AWAITS_APPROVAL, None)
        elif entry.kind in (Kind.RELEASED, Kind.VERDICT):
            missing.pop(Kind.HELD, None)
        elif entry.kind in (Kind.ABORT, Kind.ENDED) or _goes_forward(entry):
            missing.clear()
    return "; ".join(missing.values()) or None


def _goes_forward(entry: Entry) -> bool:
    return entry.kind is Kind.INTENDED and entry.effect in _FORWARD
