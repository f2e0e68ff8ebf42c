"""The ledger in words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from fairtrial.delivery.ledger import INTO_SERVICE, Action, Entry
from fairtrial.errors import UsageError

_WIDTH = 100
_DAY = 86399.999  # seconds to a day's last moment
_WORDS = {
    Action.ADOPTED: "{version} is in service",
    Action.PROMOTED: "{version} promoted",
    Action.REFUSED: "{version} refused",
    Action.ROLLED_BACK: "rolled back to {version}",
    Action.RETRAINING: "retraining started",
    Action.NOTED: "noted of {version}",
    Action.FAILED: "failed for {version}",
}


def parse_time(said: str) -> float:
    """ "2026-11-28T16:30" -> seconds since the epoch. A day alone is its end. Raises UsageError."""
    try:
        found = datetime.fromisoformat(said)
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        found = found.astimezone(UTC)  # raises OverflowError at the ends of time
    except (ValueError, OverflowError):
        raise UsageError(
            f"--at {said}: expected a time such as 2026-11-28, 2026-11-28T16:30 or 2026-11-28T16:30+01:00"
        ) from None
    return found.timestamp() + (_DAY if _is_day(said) else 0.0)


def _is_day(said: str) -> bool:
    try:
        date.fromisoformat(said)
    except ValueError:
        return False
    return True


def lines_of(entries: Sequence[Entry], *, full: bool) -> Iterator[str]:
    """The history as it is read, the oldest entry first."""
    if not entries:
        yield "nothing has happened yet"
    for entry in entries:
        yield from _entry(entry, full=full)
    if entries:
        count = "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
        yield f"{count}, unbroken; the last one's hash is {entries[-1].hash[:16]}"


def entry_at(found: Entry | None, moment: float) -> Iterator[str]:
    """Which version was in service at a time, and why."""
    if found is None:
        yield f"{_time(moment)}: no version is known to have been in service"
        return
    yield f"{_time(moment)}: {found.model} {found.version} was in service, since {_time(found.time)}"
    yield from _wrapped(f"because: {found.why}")
    yield from _details(found)


def as_documents(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """For scripts: each entry with its hash, and the time in words as well."""
    return [{**asdict(entry), "at": _time(entry.time), "hash": entry.hash} for entry in entries]


def _entry(entry: Entry, *, full: bool) -> Iterator[str]:
    which = f"{entry.model} {entry.version}" if entry.version is not None else entry.model
    words = _WORDS[entry.action].format(version=which)
    was = ""
    if entry.action in INTO_SERVICE and entry.before not in (None, entry.version):
        was = f" (before: {entry.before})"
    yield f"{_time(entry.time)}  {words}{was}, by {entry.by}"
    why = entry.why if full else textwrap.shorten(entry.why, 3 * _WIDTH, placeholder=" ...")
    yield from _wrapped(why)
    if full:
        yield from _details(entry)


def _details(entry: Entry) -> Iterator[str]:
    known = {"event": entry.event, **entry.evidence}
    for name, value in known.items():
        if name != "reasons":
            yield f"    {name}: {value}"
    yield f"    hash: {entry.hash}"


def _wrapped(text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, _WIDTH, initial_indent="    ", subsequent_indent="    ")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
