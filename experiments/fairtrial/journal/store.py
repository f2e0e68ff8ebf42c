"""The journal on disk: one SQLite file, one append-only table.

SQLite because a half-written entry must not exist, and because `abort` and `status` reach a running
controller's journal from another process.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fairtrial.clock import Clock
from fairtrial.errors import FairtrialError, UsageError
from fairtrial.journal.entries import Effect, Entry, Kind

_TABLE = """
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    kind TEXT NOT NULL,
    effect TEXT,
    body TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS append_only_update BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS append_only_delete BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
"""


class JournalError(FairtrialError):
    """The journal could not be read or written; the message names the file and the cause."""


class Journal:
    """Append and read entries. Open it by `create` (a new run) or `open` (one that exists)."""

    def __init__(self, path: Path, connection: sqlite3.Connection, clock: Clock) -> None:
        self.path = path
        self._connection = connection
        self._clock = clock

    @classmethod
    def create(cls, path: Path, clock: Clock) -> Journal:
        with _explained(path):
            connection = _connect(path)
            connection.executescript(_TABLE)
        return cls(path, connection, clock)

    @classmethod
    def open(cls, path: Path, clock: Clock) -> Journal:
        if not path.is_file():
            raise UsageError(f"{path.parent} is not a run: it has no {path.name}")
        with _explained(path):
            connection = _connect(path)
            found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone()
        if found is None:
            raise UsageError(f"{path} is no journal of Fairtrial's, or its run died before it began")
        return cls(path, connection, clock)

    def append(
        self, kind: Kind, body: Mapping[str, Any] | None = None, *, effect: Effect | None = None
    ) -> int:
        """Write one entry durably and return its number. Raises JournalError, on a full disk for one."""
        row = (self._clock.now(), kind.value, effect.value if effect else None, json.dumps(body or {}))
        with _explained(self.path), self._connection:
            cursor = self._connection.execute(
                "INSERT INTO entries (time, kind, effect, body) VALUES (?, ?, ?, ?)", row
            )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def entries(self, *kinds: Kind, after: int = 0) -> list[Entry]:
        """Entries in order, of these kinds (of all if none is named), numbered above `after`."""
        marks = ",".join("?" for _ in kinds)
        where = f" AND kind IN ({marks})" if kinds else ""
        query = f"SELECT seq, time, kind, effect, body FROM entries WHERE seq > ?{where} ORDER BY seq"
        with _explained(self.path):
            rows = self._connection.execute(query, (after, *(k.value for k in kinds))).fetchall()
        return [
            Entry(seq, time, Kind(kind), Effect(effect) if effect else None, json.loads(body))
            for seq, time, kind, effect, body in rows
        ]

    def last(self, kind: Kind) -> Entry | None:
        found = self.entries(kind)
        return found[-1] if found else None

    def close(self) -> None:
        self._connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


@contextmanager
def _explained(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise JournalError(f"the journal {path} cannot be used: {error}") from error
