"""What was in service, when and why: a log that only grows, each entry holding the hash of the one before.

Whoever changes, removes or inserts an entry breaks the chain from there on. What is cut off at the end shows
against the hash that the newest version's tags have at the registry (`HEAD_TAG`).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NotRequired, TypedDict, Unpack

from fairtrial.clock import Clock
from fairtrial.delivery.inbox import Taken
from fairtrial.delivery.state import State, StateError

#: The hash before the first entry.
GENESIS = "0" * 64
#: A tag of the version that an entry is of: the entry's hash.
HEAD_TAG = "fairtrial.ledger"


class Action(StrEnum):
    ADOPTED = "adopted"  # it served when we began to watch, or somebody else moved the alias
    PROMOTED = "promoted"  # it won, or there was none before
    REFUSED = "refused"  # it lost, was not shown to be better, or is not safe
    ROLLED_BACK = "rolledBack"  # back to this version
    RETRAINING = "retraining"  # was started
    NOTED = "noted"  # somebody is to know of it, and nothing else was to be done
    FAILED = "failed"  # it could not be brought to an end


#: After these, the entry's version is the one in service.
INTO_SERVICE = frozenset({Action.ADOPTED, Action.PROMOTED, Action.ROLLED_BACK})


@dataclass(frozen=True)
class Entry:
    """One line of the history. What it says is covered by its hash, and by that of every later one."""

    seq: int  # from 1
    time: float  # seconds since the epoch
    action: Action
    model: str
    version: str | None  # which the entry is of
    before: str | None  # which was in service then
    why: str  # sentences
    by: str  # who: the trigger's name, or user@host
    event: str  # the event's key
    evidence: Mapping[str, Any]  # run, verdict, digests, image, where the report is
    previous: str  # hash of the entry before

    @property
    def text(self) -> str:
        """What is hashed: JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=True, allow_nan=False)

    @property
    def hash(self) -> str:
        """SHA-256 in hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Said(TypedDict):
    """What whoever writes an entry says of it; each is a field of `Entry`."""

    version: str | None
    before: str | None
    why: str
    by: str
    evidence: NotRequired[Mapping[str, Any] | None]


class Ledger:
    """Of one pipeline, for one thread."""

    def __init__(self, state: State, model: str, clock: Clock) -> None:
        self._state = state
        self._model = model
        self._clock = clock

    def close_with(self, taken: Taken, action: Action, **said: Unpack[Said]) -> Entry:
        """Write an entry, and that the event is done with, both or neither. Raises StateError.

        An event has one entry of each action: one that is there already is what it was.
        """
        with self._state.transaction() as connection:
            entry = self._append(connection, taken, action, said)
            connection.execute(
                "UPDATE events SET outcome = ? WHERE seq = ? AND outcome IS NULL",
                (json.dumps({"action": action.value, "entry": entry.seq}), taken.seq),
            )
        return entry

    def add(self, taken: Taken, action: Action, **said: Unpack[Said]) -> Entry:
        """Write an entry of an event that is not done with yet. As `close_with` otherwise."""
        with self._state.transaction() as connection:
            return self._append(connection, taken, action, said)

    def entries(self) -> list[Entry]:
        """In order. Raises StateError where the chain is broken: the message says at which entry."""
        return read(self._state)

    def _append(self, connection: sqlite3.Connection, taken: Taken, action: Action, said: Said) -> Entry:
        if not connection.in_transaction:
            connection.execute("BEGIN IMMEDIATE")
        known = connection.execute(
            "SELECT entry FROM ledger WHERE event = ? AND action = ?", (taken.seq, action.value)
        ).fetchone()
        if known is not None:
            return _entry(known[0])
        last = connection.execute("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
        seq, previous = (last[0] + 1, last[1]) if last else (1, GENESIS)
        entry = Entry(
            seq=seq,
            time=self._clock.now(),
            action=action,
            model=self._model,
            version=said["version"],
            before=said["before"],
            why=said["why"],
            by=said["by"],
            event=taken.event.key,
            evidence=dict(said.get("evidence") or {}),
            previous=previous,
        )
        connection.execute(
            "INSERT INTO ledger (seq, entry, hash, event, action) VALUES (?, ?, ?, ?, ?)",
            (seq, entry.text, entry.hash, taken.seq, action.value),
        )
        return entry


def read(state: State) -> list[Entry]:
    """Every entry in order, each checked against its hash and the one before.

    Raises StateError where the chain is broken.
    """
    with state.explained():
        rows = state.connection.execute("SELECT seq, entry, hash FROM ledger ORDER BY seq").fetchall()
    found: list[Entry] = []
    previous = GENESIS
    for place, (seq, text, hash_) in enumerate(rows, 1):
        broken = f"the history in {state.path} was tampered with"
        if seq != place:
            raise StateError(f"{broken}: entry {place} is missing")
        if hashlib.sha256(text.encode()).hexdigest() != hash_:
            raise StateError(f"{broken}: entry {seq} is not what was written")
        try:
            entry = _entry(text)
        except (ValueError, TypeError) as error:
            raise StateError(f"entry {seq} of {state.path} is not one that this version knows") from error
        if entry.previous != previous or entry.seq != seq:
            raise StateError(f"{broken}: entry {seq} does not follow on the one before")
        found.append(entry)
        previous = hash_
    return found


def newest(state: State) -> int:
    """The number of the last entry, 0 without one; nothing is checked, so that it may be asked often."""
    with state.explained():
        return state.connection.execute("SELECT max(seq) FROM ledger").fetchone()[0] or 0


def in_service(entries: Sequence[Entry], at: float | None = None) -> Entry | None:
    """The entry by which a version was in service at a time (seconds since the epoch; None: now)."""
    found = [e for e in entries if e.action in INTO_SERVICE and (at is None or e.time <= at)]
    return found[-1] if found else None


def last_good(entries: Sequence[Entry]) -> str | None:
    """The version that was in service before the present one, and was not rolled back from since it was."""
    served: list[str] = []  # in the order in which they came last into service
    for entry in entries:
        if entry.action not in INTO_SERVICE or entry.version is None:
            continue
        if entry.action is Action.ROLLED_BACK and entry.before in served:
            served.remove(entry.before)
        if entry.version in served:
            served.remove(entry.version)
        served.append(entry.version)
    return served[-2] if len(served) > 1 else None


def _entry(text: str) -> Entry:
    said = json.loads(text)
    return Entry(**(said | {"action": Action(said["action"])}))
