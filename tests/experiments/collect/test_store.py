"""The evidence store on SQLite and PostgreSQL: joined whatever the order, given out once and for ever."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence

import pytest
from experiments.collect.collectors import NOON
from fairtrial.collect.database import open_database
from fairtrial.collect.events import Feedback, Half
from fairtrial.collect.giving import GIVEN, Given, NeverGiven, Wanted, give
from fairtrial.collect.store import Fate, add_feedback, add_halves
from fairtrial.collect.tables import EXCHANGES, FEEDBACK, GAPS
from fairtrial.collect.upkeep import bury, let_go, note_gap, say_alive
from fairtrial.errors import NotReadyError, UsageError
from sqlalchemy import Engine, func, select

_SECOND = 1_000_000
_WINE = "team/wine"


def request(request_id: str, at: int = 0, unit: str | None = None, arm: str = "v1") -> Half:
    return Half(request_id, _WINE, arm, asked=NOON + at, unit=unit)


def response(request_id: str, at: int = 0, prediction: str = "3", arm: str = "v1") -> Half:
    return Half(request_id, _WINE, arm, answered=NOON + at, status=200, prediction=prediction)


def add(engine: Engine, *halves: Half, now: int = 0) -> None:
    with engine.begin() as connection:
        add_halves(connection, halves, NOON + now)


def tell(engine: Engine, *told: Feedback) -> list[Fate]:
    with engine.begin() as connection:
        return [each.fate for each in add_feedback(connection, told, NOON)]


def read(engine: Engine, *, after: int = 0, now: int = 3600 * _SECOND, limit: int = 5000) -> Given:
    with engine.begin() as connection:
        wanted = Wanted(_WINE, after=after, since=NOON, grace=10 * _SECOND, limit=limit)
        return give(connection, wanted, NOON + now)


def named(rows: Sequence[Sequence[object]], *columns: str) -> list[tuple[object, ...]]:
    places = [GIVEN.index(name) for name in columns]
    return [tuple(row[place] for place in places) for row in rows]


def test_halves_are_joined_in_whatever_order_and_however_often_they_come(engine: Engine):
    drawn = random.Random(0)
    halves = [half for n in range(60) for half in (request(f"r{n}", n * 10), response(f"r{n}", n * 10 + n))]
    told = [*halves, *drawn.choices(halves, k=60)]
    drawn.shuffle(told)
    while told:
        size = drawn.randint(1, 25)
        add(engine, *told[:size])
        told = told[size:]

    rows = read(engine).rows

    assert named(rows, "sequence", "request_id") == [(n + 1, f"r{n}") for n in range(60)]
    assert [answered - asked for asked, answered in named(rows, "asked", "answered")] == list(range(60))  # type: ignore[operator]


def test_a_graph_of_several_nodes_is_one_exchange_from_the_first_request_to_the_last_answer(engine: Engine):
    add(engine, request("r", 50, unit="inner"), response("r", 60, "1"), response("r", 90, "2"))
    add(engine, request("r", 10, unit="outer"))
    (row,) = named(read(engine).rows, "asked", "answered", "unit", "prediction")
    assert row == (NOON + 10, NOON + 90, "outer", "2")


def test_what_comes_after_an_observation_was_given_out_changes_nothing_of_it(engine: Engine):
    add(engine, request("late"), request("whole"), response("whole", 5))
    first = read(engine)
    add(engine, response("late", 7), response("whole", 9), request("whole", -50), now=60 * _SECOND)
    assert tell(engine, Feedback("whole", truth="3")) == [Fate.LATE]
    assert read(engine) == first
    assert named(first.rows, "request_id", "answered") == [("late", None), ("whole", NOON + 5)]


def test_an_observation_waits_for_its_grace_and_the_cursor_goes_on(engine: Engine):
    add(engine, request("a", 0), request("b", 5 * _SECOND), response("a", 1), response("b", 6 * _SECOND))
    assert named(read(engine, now=12 * _SECOND).rows, "request_id") == [("a",)]
    given = read(engine, after=1, now=16 * _SECOND)
    assert named(given.rows, "request_id") == [("b",)]
    assert (given.cursor, given.until) == (2, NOON + 6 * _SECOND)


def test_what_comes_later_than_the_grace_is_given_out_after_the_others_and_once(engine: Engine):
    add(engine, request("b", 20), response("b", 30))
    assert read(engine).cursor == 1
    add(engine, request("a", 10), response("a", 30))
    assert named(read(engine, after=1).rows, "sequence", "request_id") == [(2, "a")]


def test_pages_are_as_long_as_asked_for_and_miss_nothing(engine: Engine):
    add(engine, *(request(f"r{n:03}", n) for n in range(95)))
    found, after = [], 0
    while rows := (given := read(engine, after=after, limit=20)).rows:
        assert len(rows) <= 20
        found += named(rows, "request_id")
        after = given.cursor
    assert found == [(f"r{n:03}",) for n in range(95)]


def test_a_reader_of_another_store_is_told_so_rather_than_given_nothing(engine: Engine):
    add(engine, request("r"))
    assert read(engine).cursor == 1
    assert read(engine, after=1).rows == []
    with pytest.raises(
        NeverGiven, match="observation 7 of team/wine was never given out: this is another store"
    ):
        read(engine, after=7)


def test_a_truth_counts_once_whether_it_comes_before_or_after_its_request(engine: Engine):
    assert tell(engine, Feedback("r", truth='"cat"')) == [Fate.KEPT]
    add(engine, request("r"), request("s"))
    again, reward = Feedback("r", truth='"cat"'), Feedback("s", reward="0.0")
    assert tell(engine, again, reward, reward) == [Fate.COUNTED] * 3
    assert tell(engine, Feedback("s", reward="1.0"), Feedback("s", truth="1")) == [Fate.ANOTHER, Fate.COUNTED]
    assert named(read(engine).rows, "reward", "truth") == [(None, '"cat"'), ("0.0", "1")]
    # Told again once it was given out with it: it was counted.
    assert tell(engine, again, Feedback("s", reward="1.0")) == [Fate.COUNTED, Fate.LATE]


def test_a_copy_to_a_shadow_has_the_same_id_and_is_an_observation_of_its_own(engine: Engine):
    add(engine, request("r"), request("r", arm="v2"), response("r", 3), response("r", 9, arm="v2"))
    tell(engine, Feedback("r", truth="3"))
    assert named(read(engine).rows, "arm", "truth") == [("v1", "3"), ("v2", "3")]


def test_a_request_without_an_answer_failed_unless_events_may_have_been_refused(engine: Engine):
    add(engine, request("failed", 0), request("unknown", 100 * _SECOND), request("answered", 100 * _SECOND))
    add(engine, response("answered", 101 * _SECOND))
    with engine.begin() as connection:
        note_gap(connection, NOON + 105 * _SECOND, NOON + 130 * _SECOND)
    rows = read(engine).rows
    assert named(rows, "sequence", "request_id") == [(1, "failed"), (2, "answered")]
    assert read(engine, after=2).rows == []


def test_a_collector_that_is_gone_leaves_a_gap(engine: Engine):
    def gaps() -> list[tuple[int, int]]:
        with engine.begin() as connection:
            found = connection.execute(select(GAPS.c.start - NOON, GAPS.c.end - NOON)).all()
        return sorted((start // _SECOND, end // _SECOND) for start, end in found)

    with engine.begin() as connection:
        say_alive(connection, "one", NOON)
        say_alive(connection, "two", NOON)
        say_alive(connection, "two", NOON + 20 * _SECOND)
        bury(connection, NOON + 21 * _SECOND)
    assert gaps() == [(0, 15)]  # the other went on
    with engine.begin() as connection:
        bury(connection, NOON + 50 * _SECOND, itself="three")
    assert gaps() == [(0, 15), (20, 50)]  # nobody did
    with engine.begin() as connection:
        say_alive(connection, "three", NOON + 51 * _SECOND)
        bury(connection, NOON + 52 * _SECOND, itself="three")
    assert gaps() == [(0, 15), (20, 50), (51, 52)]  # killed, and back within a second


def test_what_is_old_is_let_go_of_by_when_it_came(engine: Engine):
    add(engine, *(request(f"old{n}", 0) for n in range(6000)), now=0)
    add(engine, request("new", 0), now=10)
    tell(engine, Feedback("old1", reward="1.0"))
    more = True
    while more:
        with engine.begin() as connection:
            more = let_go(connection, NOON + 5)
    with engine.begin() as connection:
        assert connection.execute(select(EXCHANGES.c.request_id)).scalars().all() == ["new"]
        assert connection.execute(select(func.count()).select_from(FEEDBACK)).scalar() == 0


def test_several_collectors_on_one_postgresql_count_each_event_once(postgres):
    """Each writes all events in an order of its own, while two readers number what is due."""
    address = postgres.fresh()
    halves = [half for n in range(400) for half in (request(f"r{n}", n), response(f"r{n}", n + 7))]
    notes = [Feedback(f"r{n}", truth="3") for n in range(400)]
    failed: list[BaseException] = []

    def collect(seed: int) -> None:
        from fairtrial.clock import SystemClock
        from fairtrial.collect.writer import Writer

        drawn = random.Random(seed)
        mine: list[Half | Feedback] = [*halves, *notes]
        drawn.shuffle(mine)
        engine = open_database(address)
        settled: list[object] = []
        writer = Writer(
            engine, f"c{seed}", lambda each: settled.extend(outcome for _, outcome in each), SystemClock(),
            retention=1e9, most=10_000,
        )  # fmt: skip
        try:
            writer.start()
            for each in mine:
                assert writer.submit(None, each)
                if drawn.random() < 0.05:
                    assert writer.submit(None, Wanted(_WINE, since=NOON, grace=0, limit=drawn.randint(1, 50)))
            writer.close()
            assert len(settled) >= len(mine)
            assert not [each for each in settled if type(each).__name__ == "Refused"]
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failed.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=collect, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    engine = open_database(address)
    rows = _all(engine)
    engine.dispose()
    assert sorted(named(rows, "request_id")) == sorted((f"r{n}",) for n in range(400))
    assert [number for (number,) in named(rows, "sequence")] == list(range(1, 401))


def _all(engine: Engine) -> list[Sequence[object]]:
    found: list[Sequence[object]] = []
    after = 0
    while rows := (given := read(engine, after=after)).rows:
        found += rows
        after = given.cursor
    return found


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("mysql://ann:pa55@host/db", UsageError, "neither sqlite:///FILE nor postgresql://"),
        ("no address with pa55", UsageError, "neither sqlite:///FILE nor postgresql://"),
        ("sqlite://", UsageError, "in memory is gone with the collector"),
        ("sqlite:////nowhere/at/all.db", NotReadyError, "unable to open database file"),
        (
            "postgresql://ann:pa55@127.0.0.1:1/db",
            NotReadyError,
            r"ann:\*\*\*@127.0.0.1:1/db cannot be used: ",
        ),
    ],
)
def test_an_address_that_is_no_store_is_told_without_its_password(address, error, words):
    with pytest.raises(error, match=words) as told:
        open_database(address)
    assert "pa55" not in str(told.value)
