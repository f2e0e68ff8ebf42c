"""The inbox: an event is one however often it is told, is never lost, and is finished once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from experiments.delivery.logs import taken
from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.inbox import Inbox
from fairtrial.delivery.state import State, StateError


def event(key: str, **body: object) -> Event:
    return Event(key, Happening.ALERT, "degraded", 1_750_000_000.5, body)


def test_an_event_is_there_as_it_was_told_also_for_the_next_process(state: State) -> None:
    told = event("degraded:1", summary="weniger als 70 % – schlecht", labels={"a": ["b", None]})
    assert Inbox(state).put([told]) == [told]
    again = State(state.folder)
    (waits,) = Inbox(again).waiting()
    again.close()
    assert (waits.event, waits.outcome) == (told, None)


def test_a_known_key_is_dropped_also_once_it_is_done_with(state: State) -> None:
    inbox = Inbox(state)
    first, other = event("degraded:1", summary="first"), event("degraded:2")
    inbox.put([first])
    assert inbox.put([event("degraded:1", summary="again"), other, other]) == [other]
    inbox.finish(inbox.waiting()[0], {"action": "noted"})
    assert inbox.put([first]) == []
    assert [each.event for each in inbox.all()] == [first, other]
    assert [each.event for each in inbox.waiting()] == [other]


def test_events_wait_in_the_order_in_which_they_came_not_happened(state: State) -> None:
    inbox = Inbox(state)
    inbox.put([Event("b", Happening.ALERT, "t", 200.0)])
    inbox.put([Event("c", Happening.ALERT, "t", 300.0), Event("a", Happening.ALERT, "t", 100.0)])
    assert [each.event.key for each in inbox.waiting()] == ["b", "c", "a"]


def test_a_cursor_moves_with_its_events_or_not_at_all(state: State) -> None:
    inbox = Inbox(state)
    assert inbox.cursor("degraded") is None
    inbox.put([event("degraded:1")], cursor=("degraded", "1"))
    inbox.put([], cursor=("other", "x"))
    state.connection.execute(
        "CREATE TRIGGER full BEFORE INSERT ON cursors BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    with pytest.raises(StateError, match="disk full"):
        inbox.put([event("degraded:2")], cursor=("degraded", "2"))
    assert [each.event.key for each in inbox.waiting()] == ["degraded:1"]
    assert (inbox.cursor("degraded"), inbox.cursor("other")) == ("1", "x")


def test_it_is_finished_once(state: State) -> None:
    inbox, waits = Inbox(state), taken(state, "degraded:1")
    inbox.finish(waits, {"action": "rolledBack"})
    inbox.finish(waits, {"action": "failed"})
    found = inbox.get("degraded:1")
    assert found is not None
    assert found.outcome == {"action": "rolledBack"}
    assert inbox.get("degraded:2") is None


def test_what_many_tell_at_once_is_kept_once(tmp_path: Path) -> None:
    folder = tmp_path / "wine"
    events = [event(f"degraded:{number}") for number in range(50)]

    def tell(sender: int) -> int:
        state = State(folder)  # which they also make at once
        try:
            inbox = Inbox(state)
            order = events if sender % 2 else events[::-1]
            return sum(len(inbox.put([each])) for each in order)
        finally:
            state.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(tell, range(4))) == 50
    state = State(folder)
    assert len(Inbox(state).waiting()) == 50
    state.close()


def test_a_folder_that_cannot_be_made_is_told_and_so_is_one_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Exception, match=r"cannot make the pipeline's folder .*file/wine: Not a directory"):
        State(tmp_path / "file" / "wine")
    with pytest.raises(Exception, match=r"no pipeline was watched in .*: there is no delivery\.db"):
        State(tmp_path, make=False)
