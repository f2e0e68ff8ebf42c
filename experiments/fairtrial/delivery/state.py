"""What a pipeline knows, in one SQLite file: its events, cursors, steps and ledger.

One file, so that what belongs together is written in one transaction: an event and the cursor that has moved
past it; the last step of a delivery and the ledger's entry.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from fairtrial.errors import FairtrialError, UsageError
from fairtrial.locking import hold

_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    happening TEXT NOT NULL,
    trigger TEXT NOT NULL,
    time REAL NOT NULL,
    body TEXT NOT NULL,
    outcome TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS cursors (trigger TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS steps (
    event INTEGER NOT NULL REFERENCES events(seq),
    step TEXT NOT NULL,
    time REAL NOT NULL,
    result TEXT NOT NULL,
    PRIMARY KEY (event, step)
) STRICT;
CREATE TABLE IF NOT EXISTS ledger (
    seq INTEGER PRIMARY KEY,
    entry TEXT NOT NULL,
    hash TEXT NOT NULL,
    event INTEGER NOT NULL,
    action TEXT NOT NULL,
    UNIQUE (event, action)
) STRICT;
CREATE TRIGGER IF NOT EXISTS ledger_update BEFORE UPDATE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS ledger_delete BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""


class HeldError(UsageError):
    """Another process watches the pipeline."""


class StateError(FairtrialError):
    """The state could not be read or written; the message names the file and the cause."""


class State:
    """One connection to the file, for one thread."""

    def __init__(self, folder: Path, *, make: bool = True) -> None:
        """folder: the pipeline's own, below `deliveries`. Raises UsageError, StateError."""
        self.folder = folder
        self.path = folder / "delivery.db"
        if make:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UsageError(f"cannot make the pipeline's folder {folder}: {error.strerror}") from error
        elif not self.path.is_file():
            raise UsageError(f"no pipeline was watched in {folder}: there is no {self.path.name}")
        with self.explained():
            self.connection = sqlite3.connect(self.path, timeout=10, check_same_thread=False)
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=FULL")
            if make:
                self.connection.executescript(_TABLES)

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """All that is written in the block is kept, or nothing of it. Raises StateError."""
        with self.explained(), self.connection:
            yield self.connection

    @contextmanager
    def explained(self) -> Generator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise StateError(f"the pipeline's state {self.path} cannot be used: {error}") from error

    def close(self) -> None:
        self.connection.close()


@contextmanager
def held(folder: Path) -> Generator[None]:
    """Hold the pipeline for this process; the kernel lets go of it when the process dies.

    Raises HeldError when another process holds it, and StateError.
    """
    try:
        lock = (folder / "watch.lock").open("a+")
    except OSError as error:
        raise StateError(f"the pipeline in {folder} cannot be held: {error.strerror}") from error
    with lock:
        holder = hold(lock)
        if holder is not None:
            raise HeldError(f"the pipeline in {folder} is watched by process {holder} already")
        yield
