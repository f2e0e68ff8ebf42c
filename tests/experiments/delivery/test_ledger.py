"""The ledger: what was written stays, whoever writes beside it, and shows what was done to it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from experiments.clocks import StoppedClock
from experiments.delivery.conftest import OLD_SQL
from experiments.delivery.logs import taken, tamper, write
from fairtrial.delivery.anchoring import check_anchors
from fairtrial.delivery.inbox import Inbox
from fairtrial.delivery.ledger import (
    GENESIS,
    HEAD_TAG,
    INTO_SERVICE,
    Action,
    Entry,
    Ledger,
    in_service,
    last_good,
    newest,
    read,
)
from fairtrial.delivery.state import State, StateError
from fairtrial.registry.mlflow import MlflowRegistry
from hypothesis import given
from hypothesis import strategies as st

pytestmark = OLD_SQL
ADOPTED, PROMOTED, REFUSED, ROLLED_BACK = Action.ADOPTED, Action.PROMOTED, Action.REFUSED, Action.ROLLED_BACK


@pytest.fixture
def written(state: State, clock: StoppedClock) -> list[Entry]:
    return write(
        state, clock, (ADOPTED, "1", None), (PROMOTED, "2", "1"), (REFUSED, "3", "2"), (ROLLED_BACK, "1", "2")
    )


def test_entries_are_read_as_they_were_written_each_holding_the_hash_before(
    state: State, written: list[Entry]
) -> None:
    assert read(state) == written
    assert [entry.seq for entry in written] == [1, 2, 3, 4]
    assert [entry.previous for entry in written] == [GENESIS, *(entry.hash for entry in written[:-1])]
    assert newest(state) == len(written)


def test_an_entry_is_neither_changed_nor_removed_by_an_honest_program(
    state: State, written: list[Entry]
) -> None:
    for statement in ("UPDATE ledger SET hash = 'x' WHERE seq = 2", "DELETE FROM ledger WHERE seq = 4"):
        with pytest.raises(StateError, match="append-only"), state.transaction() as connection:
            connection.execute(statement)
    assert read(state) == written


def _changed(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE ledger SET entry = replace(entry, 'reason 2', 'no reason') WHERE seq = 2")


def _changed_with_its_hash(connection: sqlite3.Connection) -> None:
    _changed(connection)
    (text,) = connection.execute("SELECT entry FROM ledger WHERE seq = 2").fetchone()
    digest = hashlib.sha256(text.encode()).hexdigest()
    connection.execute("UPDATE ledger SET hash = ? WHERE seq = 2", (digest,))


def _removed(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM ledger WHERE seq = 2")


def _removed_and_closed_up(connection: sqlite3.Connection) -> None:
    _removed(connection)
    connection.execute("UPDATE ledger SET seq = seq - 1 WHERE seq > 2")


def _inserted(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE ledger SET seq = -seq - 1 WHERE seq > 1")
    connection.execute("UPDATE ledger SET seq = -seq WHERE seq < 0")
    connection.execute("INSERT INTO ledger SELECT 2, entry, hash, 99, action FROM ledger WHERE seq = 1")


def _reordered(connection: sqlite3.Connection) -> None:
    for a, b in ((2, -2), (3, 2), (-2, 3)):
        connection.execute("UPDATE ledger SET seq = ? WHERE seq = ?", (b, a))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_changed, "was tampered with: entry 2 is not what was written"),
        (_changed_with_its_hash, "was tampered with: entry 3 does not follow on the one before"),
        (_removed, "was tampered with: entry 2 is missing"),
        (_removed_and_closed_up, "was tampered with: entry 2 does not follow on the one before"),
        (_inserted, "was tampered with: entry 2 does not follow on the one before"),
        (_reordered, "was tampered with: entry 2 does not follow on the one before"),
    ],
)
def test_what_was_done_to_the_log_is_told_with_its_place(
    state: State, written: list[Entry], change: object, told: str
) -> None:
    tamper(state.path, change)  # type: ignore[arg-type]
    with pytest.raises(StateError) as error:
        read(state)
    assert str(error.value) == f"the history in {state.path} {told}"


def test_an_entry_of_a_later_version_is_said_to_be_one(state: State, written: list[Entry]) -> None:
    text = json.dumps(json.loads(written[-1].text) | {"action": "sung"})
    digest = hashlib.sha256(text.encode()).hexdigest()
    tamper(
        state.path,
        lambda connection: connection.execute(
            "UPDATE ledger SET entry = ?, hash = ? WHERE seq = 4", (text, digest)
        ),
    )
    with pytest.raises(StateError, match=r"entry 4 of .* is not one that this version knows"):
        read(state)


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be taken for one" * 20])
def test_a_file_that_is_no_state_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "delivery.db").write_bytes(content)
    with pytest.raises(StateError, match=r"the pipeline's state .*delivery\.db cannot be used: "):
        read(State(tmp_path, make=False))


class TestAgainstTheRegistry:
    @pytest.fixture
    def registry(self, registry_of_wine: MlflowRegistry, written: list[Entry]) -> MlflowRegistry:
        """With the hashes of what was written: 1 and 2 served, 3 was refused."""
        for entry in written:
            assert entry.version is not None
            registry_of_wine.tag(entry.version, {HEAD_TAG: f"{entry.seq}:{entry.hash}"})
        return registry_of_wine

    def test_a_whole_log_agrees(self, registry: MlflowRegistry, state: State) -> None:
        assert check_anchors(read(state), registry) == 3

    def test_an_end_that_was_cut_off_shows(self, registry: MlflowRegistry, state: State) -> None:
        tamper(state.path, lambda connection: connection.execute("DELETE FROM ledger WHERE seq = 4"))
        entries = read(state)  # unbroken in itself
        with pytest.raises(StateError, match="version 1 has the hash of an entry 4 at the registry, and the"):
            check_anchors(entries, registry)

    def test_a_log_that_was_written_anew_shows(
        self, registry: MlflowRegistry, tmp_path: Path, clock: StoppedClock
    ) -> None:
        other = State(tmp_path / "other")
        entries = write(other, clock, *[(PROMOTED, str(n), None) for n in (1, 2, 3, 4)])
        other.close()
        with pytest.raises(StateError, match="tampered with"):
            check_anchors(entries, registry)


def test_which_version_was_in_service_at_a_time(written: list[Entry]) -> None:
    times = [entry.time for entry in written]
    moments = [times[0] - 1, times[0], times[1] - 0.001, times[1], times[2] + 1, times[3], times[3] + 1e6]
    found = [in_service(written, moment) for moment in moments]
    assert [entry and entry.version for entry in found] == [None, "1", "1", "2", "2", "1", "1"]
    assert in_service(written) == written[3]
    assert in_service([]) is None


def _model_of_last_good(turns: list[tuple[str, Action]]) -> str | None:
    """By hand: a stack of what served, without what was rolled back from since it last came into service."""
    present: str | None = None
    stack: list[str] = []
    for version, action in turns:
        if action not in INTO_SERVICE:
            continue
        if present is not None and present != version and action is not ROLLED_BACK:
            stack = [*(v for v in stack if v != present), present]
        stack = [v for v in stack if v != version]
        present = version
    return stack[-1] if stack else None


@given(st.lists(st.tuples(st.sampled_from("1234"), st.sampled_from(list(Action))), max_size=25))
def test_the_last_good_version_is_that_of_a_plain_model(turns: list[tuple[str, Action]]) -> None:
    entries: list[Entry] = []
    before: str | None = None
    for seq, (version, action) in enumerate(turns, 1):
        entries.append(Entry(seq, float(seq), action, "wine", version, before, "", "", "", {}, GENESIS))
        if action in INTO_SERVICE:
            before = version
    assert last_good(entries) == _model_of_last_good(turns)


def test_rolled_back_over_and_over_ends_at_the_first_and_never_returns_to_a_bad_one(
    state: State, clock: StoppedClock
) -> None:
    write(state, clock, (ADOPTED, "1", None), (PROMOTED, "2", "1"), (PROMOTED, "3", "2"))
    seen: list[str | None] = []
    for _ in range(4):
        entries = read(state)
        now, target = in_service(entries), last_good(entries)
        assert now is not None
        seen.append(target)
        if target is not None:
            write(state, clock, (ROLLED_BACK, target, now.version))
    assert seen == ["2", "1", None, None]


def test_an_event_has_one_entry_of_an_action_however_often_it_is_written(
    state: State, clock: StoppedClock
) -> None:
    ledger, event = Ledger(state, "wine", clock), taken(state, "alert:1")
    said = {"version": "1", "before": "2", "why": "first", "by": "me"}
    first = ledger.add(event, ROLLED_BACK, **said)
    clock.sleep(10)
    assert ledger.add(event, ROLLED_BACK, **said | {"why": "second"}) == first
    assert ledger.close_with(event, ROLLED_BACK, **said | {"why": "third"}) == first
    ledger.add(event, Action.RETRAINING, **said)
    assert [entry.action for entry in read(state)] == [ROLLED_BACK, Action.RETRAINING]
    assert Inbox(state).waiting() == []


def test_many_writers_at_once_make_one_chain_and_one_entry_an_event(tmp_path: Path) -> None:
    first = State(tmp_path / "wine")
    events = [taken(first, f"alert:{number}") for number in range(10)]

    def work(_writer: int) -> None:
        own = State(tmp_path / "wine")
        ledger = Ledger(own, "wine", StoppedClock())
        for event in events:
            ledger.close_with(event, Action.NOTED, version="1", before="1", why="", by="me")
        own.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    entries = read(first)
    assert sorted(entry.event for entry in entries) == sorted(event.event.key for event in events)
    assert Inbox(first).waiting() == []
    first.close()


_FULL = """
import resource, signal, sys
from pathlib import Path
from experiments.clocks import StoppedClock
from experiments.delivery.logs import taken
from fairtrial.delivery.ledger import Action, Ledger
from fairtrial.delivery.state import State, StateError

state = State(Path(sys.argv[1]))
ledger, event = Ledger(state, "wine", StoppedClock()), taken(state, "alert:1")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    ledger.close_with(
        event, Action.NOTED, version="1", before=None, why="x" * 1_000_000, by="me"
    )
except StateError as error:
    print(error)
"""


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, clock: StoppedClock) -> None:
    tests = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path / "wine")],
        env={"PYTHONPATH": str(tests)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"the pipeline's state {tmp_path / 'wine' / 'delivery.db'} cannot be used")
    state = State(tmp_path / "wine")
    assert read(state) == []
    (event,) = Inbox(state).waiting()
    Ledger(state, "wine", clock).close_with(
        event, Action.NOTED, version="1", before=None, why="there is room again", by="me"
    )
    assert [entry.why for entry in read(state)] == ["there is room again"]
    state.close()
