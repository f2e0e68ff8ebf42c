"""Followers get each entry that they want, in order, whatever they do, and never hold the run up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fairtrial.clock import SystemClock
from fairtrial.followers.following import Patience, following
from fairtrial.followers.interface import AwayError, RefusedError
from fairtrial.journal.entries import Entry, Kind
from fairtrial.journal.store import Journal, JournalError

QUICK = Patience(poll=0.005, first=0.005, longest=0.02, drain=5.0)


class Recorder:
    """Takes looks, unless told otherwise."""

    def __init__(self, name: str = "notifications.0", at_once: int = 1) -> None:
        self.name = name
        self.at_once = at_once
        self.calls: list[list[int]] = []
        self.errors: list[Exception] = []
        self.away = threading.Event()

    def wants(self, entry: Entry) -> bool:
        return entry.kind is Kind.LOOK

    def take(self, entries: Sequence[Entry]) -> None:
        if self.away.is_set():
            raise AwayError("it is not there")
        if self.errors:
            raise self.errors.pop(0)
        self.calls.append([entry.body["look"] for entry in entries])

    @property
    def taken(self) -> list[int]:
        return [look for call in self.calls for look in call]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal.create(tmp_path / "journal.db", SystemClock())
    yield made
    made.close()


def follow(journal: Journal, *followers: Recorder, patience: Patience = QUICK):
    return following(lambda: Journal.open(journal.path, SystemClock()), followers, patience)


def look(journal: Journal, *numbers: int) -> None:
    for number in numbers:
        journal.append(Kind.LOOK, {"look": number})


def incidents(journal: Journal) -> list[str]:
    return [entry.body["message"] for entry in journal.entries(Kind.INCIDENT)]


def test_what_is_wanted_is_given_once_and_in_order(journal: Journal):
    one = Recorder()
    look(journal, 1)
    with follow(journal, one):
        journal.append(Kind.STARTED)
        look(journal, 2, 3)
    assert one.calls == [[1], [2], [3]]
    assert incidents(journal) == []


def test_the_last_entry_before_the_end_is_not_lost(journal: Journal):
    for number in range(30):
        one = Recorder(f"notifications.{number}")
        with follow(journal, one):
            look(journal, number)
        assert one.taken == list(range(number + 1))


def test_a_second_process_gives_only_what_the_first_did_not(journal: Journal):
    with follow(journal, Recorder()):
        look(journal, 1, 2)
    later, other = Recorder(), Recorder("tracking.mlflow", at_once=10)
    with follow(journal, later, other):
        look(journal, 3)
    assert later.taken == [3]
    assert other.taken == [1, 2, 3]


def test_who_died_before_it_could_write_it_down_gives_it_again(journal: Journal):
    class Dying(Journal):
        def append(self, kind: Kind, *args: Any, **details: Any) -> int:
            if kind is Kind.TOLD:
                raise JournalError("killed")
            return super().append(kind, *args, **details)

    one = Recorder()
    look(journal, 1, 2)
    with following(lambda: Dying.open(journal.path, SystemClock()), [one], QUICK):
        pass
    assert one.taken == [1]
    with follow(journal, one):
        pass
    assert one.taken == [1, 1, 2]


def test_several_are_given_at_once_to_who_takes_them(journal: Journal):
    many = Recorder(at_once=4)
    look(journal, *range(10))
    with follow(journal, many):
        pass
    assert many.calls == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_who_is_away_is_asked_again_and_is_one_incident(journal: Journal):
    one = Recorder()
    one.errors = [AwayError("busy")] * 4
    with follow(journal, one):
        look(journal, 1, 2)
        deadline = time.monotonic() + 5
        while one.taken != [1, 2] and time.monotonic() < deadline:
            time.sleep(0.005)
    assert one.taken == [1, 2]
    assert incidents(journal) == ["spec.notifications.0: busy; it is tried again"]


def test_what_is_refused_is_left_out_and_is_an_incident(journal: Journal):
    one = Recorder()
    one.errors = [RefusedError("the webhook at h answered 404")]
    with follow(journal, one):
        look(journal, 1, 2)
    assert one.taken == [2]
    assert incidents(journal) == ["spec.notifications.0: the webhook at h answered 404"]


def test_a_bug_in_a_follower_is_an_incident_without_its_words(journal: Journal):
    one = Recorder()
    one.errors = [KeyError("https://secret")]
    with follow(journal, one):
        look(journal, 1, 2)
    assert one.taken == [2]
    assert incidents(journal) == ["spec.notifications.0: failed with KeyError"]


def test_who_stays_away_is_owed_and_gets_it_from_the_next_process(journal: Journal):
    gone = Recorder()
    gone.away.set()
    with follow(journal, gone):
        look(journal, 1, 2)
    assert incidents(journal)[-1] == (
        "spec.notifications.0: 2 of the journal's entries could not be made known before the end; "
        "`fairtrial resume` tries again"
    )
    gone.away.clear()
    with follow(journal, gone):
        pass
    assert gone.taken == [1, 2]


def test_one_that_hangs_holds_up_neither_the_run_nor_the_others(journal: Journal):
    class Hanging(Recorder):
        def take(self, entries: Sequence[Entry]) -> None:
            released.wait(30)

    released = threading.Event()
    other = Recorder("notifications.1")
    begun = time.monotonic()
    with follow(journal, Hanging(), other, patience=Patience(poll=0.005, drain=0.2)):
        look(journal, 1)
        assert time.monotonic() - begun < 10
    assert time.monotonic() - begun < 20  # it hangs for 30
    assert other.taken == [1]
    assert "1 of the journal's entries" in incidents(journal)[-1]
    released.set()


def test_the_run_fails_as_it_did(journal: Journal):
    one = Recorder()
    with pytest.raises(ZeroDivisionError), follow(journal, one):  # noqa: PT012
        look(journal, 1)
        raise ZeroDivisionError
    assert one.taken == [1]
