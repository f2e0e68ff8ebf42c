"""Who is told of deliveries: at least once each, in order, by real HTTP."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from experiments.clocks import StoppedClock
from experiments.delivery.logs import write
from experiments.listener import Listener, listening
from fairtrial.delivery.ledger import Action
from fairtrial.delivery.pipeline.model import Notification, Pipeline
from fairtrial.delivery.state import State
from fairtrial.delivery.telling import Teller
from fairtrial.errors import UsageError

TURNS = [
    (Action.ADOPTED, "1", None),
    (Action.PROMOTED, "2", "1"),
    (Action.REFUSED, "3", "2"),
    (Action.ROLLED_BACK, "1", "2"),
    (Action.NOTED, "1", "1"),
    (Action.RETRAINING, "1", "1"),
    (Action.FAILED, None, "1"),
]


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


def pipeline(*notifications: dict[str, object]) -> Pipeline:
    return Pipeline.model_validate(
        {
            "apiVersion": "fairtrial.dev/v1alpha1",
            "kind": "Pipeline",
            "metadata": {"name": "wine"},
            "spec": {"registry": {"mlflow": {"model": "wine"}}, "notifications": list(notifications)},
        }
    )


def teller(state: State, clock: StoppedClock, said: list[str], *who: dict[str, object]) -> Teller:
    return Teller(pipeline(*who), state, clock, said.append)


def test_everybody_is_told_of_every_entry_in_order_and_once(
    state: State, clock: StoppedClock, listener: Listener
) -> None:
    told = teller(state, clock, [], {"webhook": listener.url})
    write(state, clock, *TURNS)
    told.tell()
    told.tell()
    assert listener.events == [action.value for action, _, _ in TURNS]
    assert [each["id"] for each in listener.got] == [f"wine/{n}" for n in range(1, 8)]
    assert [each["title"] for each in listener.got] == [
        "wine: wine 1: in service",
        "wine: wine 2: promoted",
        "wine: wine 3: refused",
        "wine: wine 1: rolled back",
        "wine: wine 1: to know",
        "wine: wine 1: retraining",
        "wine: wine: failed",
    ]
    assert listener.got[3]["text"] == "reason 4"
    assert listener.got[3]["details"] == {"version": "1", "before": "2", "by": "test"}


def test_only_what_one_wants_is_told(state: State, clock: StoppedClock, listener: Listener) -> None:
    told = teller(state, clock, [], {"webhook": listener.url, "events": ["promoted", "rolledBack"]})
    write(state, clock, *TURNS)
    told.tell()
    assert listener.events == ["promoted", "rolledBack"]


def test_whoever_is_away_is_tried_again_later_and_later_and_misses_nothing(
    state: State, clock: StoppedClock, listener: Listener
) -> None:
    said: list[str] = []
    told = teller(state, clock, said, {"webhook": listener.url})
    write(state, clock, *TURNS[:3])
    listener.answers[:] = [503] * 12
    asked: list[float] = []
    begun = clock.now()
    while listener.answers:
        left = len(listener.answers)
        told.tell()
        if len(listener.answers) < left:
            asked.append(clock.now() - begun)
        clock.sleep(1)
    gaps = [b - a for a, b in itertools.pairwise(asked)]
    assert gaps == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert len(said) == 1
    assert "127.0.0.1" in said[0]
    assert said[0].endswith("it is tried again")
    assert listener.url not in said[0], "a path may be a secret"
    clock.sleep(300)
    told.tell()
    assert [each["id"] for each in listener.got] == ["wine/1", "wine/2", "wine/3"]


def test_one_who_is_away_holds_nobody_else_up(state: State, clock: StoppedClock, listener: Listener) -> None:
    with listening() as away:
        gone = away.url
    told = teller(state, clock, [], {"webhook": gone}, {"webhook": listener.url})
    write(state, clock, *TURNS[:2])
    told.tell()
    assert listener.events == ["adopted", "promoted"]


def test_one_who_refuses_an_entry_gets_the_next_one(
    state: State, clock: StoppedClock, listener: Listener
) -> None:
    said: list[str] = []
    told = teller(state, clock, said, {"webhook": listener.url})
    write(state, clock, *TURNS[:3])
    listener.answers[:] = [200, 410]
    told.tell()
    assert listener.events == ["adopted", "refused"]
    assert said == ["spec.notifications: the webhook at 127.0.0.1 answered 410 to the event promoted"]


def test_what_was_not_told_before_a_crash_is_told_after_it_and_nothing_twice_that_is_known(
    state: State, clock: StoppedClock, listener: Listener
) -> None:
    before = teller(state, clock, [], {"webhook": listener.url})
    write(state, clock, *TURNS[:2])
    before.tell()
    write(state, clock, *TURNS[2:4])  # and the process dies
    teller(state, clock, [], {"webhook": listener.url}).tell()
    assert [each["id"] for each in listener.got] == ["wine/1", "wine/2", "wine/3", "wine/4"]


def test_who_dies_between_telling_and_knowing_tells_again_by_the_same_id(
    state: State, clock: StoppedClock, listener: Listener
) -> None:
    told = teller(state, clock, [], {"webhook": listener.url})
    write(state, clock, *TURNS[:1])
    state.connection.execute(
        "CREATE TEMP TRIGGER dies BEFORE INSERT ON cursors BEGIN SELECT RAISE(ABORT, 'killed'); END"
    )
    with pytest.raises(Exception, match="killed"):
        told.tell()
    state.connection.execute("DROP TRIGGER dies")
    teller(state, clock, [], {"webhook": listener.url}).tell()
    assert [each["id"] for each in listener.got] == ["wine/1", "wine/1"]


def test_who_comes_later_is_not_told_of_all_that_ever_was(
    state: State, clock: StoppedClock, listener: Listener
) -> None:
    write(state, clock, *TURNS[:3])
    told = teller(state, clock, [], {"webhook": listener.url})
    told.tell()
    write(state, clock, *TURNS[3:4])
    told.tell()
    assert [each["id"] for each in listener.got] == ["wine/4"]


def test_an_address_that_is_not_there_is_told_at_once(state: State, clock: StoppedClock) -> None:
    with pytest.raises(UsageError, match=r"spec\.notifications\.1: the environment's NO_HOOK is empty"):
        teller(state, clock, [], {"webhook": "http://127.0.0.1:9"}, {"webhookFrom": {"env": "NO_HOOK"}})


def test_every_action_can_be_asked_for() -> None:
    every = [action.value for action in Action]
    assert Notification.model_validate({"webhook": "http://h", "events": every}).events == tuple(every)
