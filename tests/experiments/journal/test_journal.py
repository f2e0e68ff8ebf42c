import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from experiments.clocks import StoppedClock
from fairtrial.errors import UsageError
from fairtrial.journal.entries import Effect, Kind
from fairtrial.journal.store import Journal, JournalError


def test_entries_come_back_in_the_order_they_were_written(tmp_path: Path):
    clock = StoppedClock()
    journal = Journal.create(tmp_path / "journal.db", clock)
    journal.append(Kind.STARTED, {"name": "wine"})
    clock.sleep(5)
    journal.append(Kind.INTENDED, effect=Effect.DEPLOY)
    journal.close()

    entries = Journal.open(tmp_path / "journal.db", clock).entries()

    assert [(e.kind, e.effect, e.body) for e in entries] == [
        (Kind.STARTED, None, {"name": "wine"}),
        (Kind.INTENDED, Effect.DEPLOY, {}),
    ]
    assert entries[1].time - entries[0].time == 5


def test_an_entry_can_neither_be_changed_nor_taken_out(tmp_path: Path):
    journal = Journal.create(tmp_path / "journal.db", StoppedClock())
    journal.append(Kind.STARTED)
    raw = sqlite3.connect(tmp_path / "journal.db")

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute("UPDATE entries SET kind = 'verdict'")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute("DELETE FROM entries")
    raw.close()
    journal.close()


def test_an_entry_outlives_the_kill_of_its_writer(tmp_path: Path):
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from fairtrial.clock import SystemClock; from fairtrial.journal.store import Journal\n"
        "from fairtrial.journal.entries import Kind\n"
        "journal = Journal.create(Path(sys.argv[1]), SystemClock()); journal.append(Kind.LOOK, {'look': 1})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "journal.db"

    killed = subprocess.run([sys.executable, "-c", script, str(path)], env=os.environ, check=False)

    assert killed.returncode == -signal.SIGKILL
    assert [e.body for e in Journal.open(path, StoppedClock()).entries()] == [{"look": 1}]


def test_another_process_can_write_while_the_controller_holds_it_open(tmp_path: Path):
    controller = Journal.create(tmp_path / "journal.db", StoppedClock())
    Journal.open(tmp_path / "journal.db", StoppedClock()).append(Kind.ABORT)
    assert controller.last(Kind.ABORT) is not None


def test_a_folder_without_a_journal_is_refused_in_words(tmp_path: Path):
    with pytest.raises(UsageError, match=r"is not a run: it has no journal\.db"):
        Journal.open(tmp_path / "journal.db", StoppedClock())


def test_a_damaged_journal_is_told_by_name(tmp_path: Path):
    path = tmp_path / "journal.db"
    path.write_bytes(b"this was never a database, " * 50)
    with pytest.raises(JournalError, match=r"journal\.db cannot be used: .*not a database"):
        Journal.open(path, StoppedClock())


def test_a_full_disk_is_told_and_leaves_what_was_written(tmp_path: Path):
    path = tmp_path / "journal.db"
    journal = Journal.create(path, StoppedClock())
    journal.append(Kind.STARTED)
    journal._connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(JournalError, match="full"):
        journal.append(Kind.LOOK, {"filler": "x" * 100_000})
    assert [e.kind for e in journal.entries()] == [Kind.STARTED]
