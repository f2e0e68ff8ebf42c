"""The poller: each trigger when it is due, backing off where its source is away, none held up by another."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from experiments.clocks import StoppedClock
from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.inbox import Inbox
from fairtrial.delivery.polling import Poller
from fairtrial.delivery.state import State
from fairtrial.delivery.triggers.interface import Polled
from fairtrial.errors import NotReadyError
from fairtrial.pauses import pause_after


@dataclass
class Source:
    """A trigger whose every poll is an event, while it answers."""

    name: str
    every: float = 30.0
    away: bool = False
    polled: list[tuple[float, str | None]] = field(default_factory=list)

    def due(self, now: float, last: float | None) -> float:
        return now if last is None else last + self.every

    def poll(self, now: float, cursor: str | None) -> Polled:
        self.polled.append((now, cursor))
        if self.away:
            raise NotReadyError(f"{self.name}'s server cannot be reached")
        number = int(cursor or 0) + 1
        event = Event(f"{self.name}:{number}", Happening.CHALLENGER, self.name, now, {"version": str(number)})
        return Polled((event,), str(number))

    @property
    def gaps(self) -> list[float]:
        times = [time for time, _ in self.polled]
        return [b - a for a, b in itertools.pairwise(times)]


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    state = State(tmp_path / "wine")
    yield Inbox(state)
    state.close()


@pytest.fixture
def poller_of(tmp_path: Path, clock: StoppedClock) -> Callable[..., tuple[Poller, list[str]]]:
    def make(*sources: Source) -> tuple[Poller, list[str]]:
        said: list[str] = []
        return Poller(sources, tmp_path / "wine", clock, said.append), said

    return make


def go_on(poller: Poller, inbox: Inbox, clock: StoppedClock, seconds: int) -> None:
    for _ in range(seconds):
        poller.poll(inbox)
        clock.sleep(1)


def test_each_is_asked_when_it_is_due_and_given_its_own_cursor(poller_of, inbox: Inbox, clock) -> None:
    often, rarely = Source("often", 10), Source("rarely", 25)
    poller, _ = poller_of(often, rarely)
    go_on(poller, inbox, clock, 40)
    assert (often.gaps, rarely.gaps) == ([10, 10, 10], [25])
    assert [cursor for _, cursor in often.polled] == [None, "1", "2", "3"]
    assert [each.event.key for each in inbox.waiting()] == [
        "often:1", "rarely:1", "often:2", "often:3", "rarely:2", "often:4",
    ]  # fmt: skip


def test_at_once_asks_all_however_lately_they_were_asked(poller_of, inbox: Inbox) -> None:
    source = Source("registry")
    poller, _ = poller_of(source)
    assert [poller.poll(inbox), poller.poll(inbox), poller.poll(inbox, at_once=True)] == [1, 0, 1]


def test_a_source_that_is_away_is_asked_less_and_less_and_the_others_as_before(
    poller_of, inbox: Inbox, clock: StoppedClock
) -> None:
    away, there = Source("away", 0.5, away=True), Source("there", 10)
    poller, said = poller_of(away, there)
    go_on(poller, inbox, clock, 200)
    assert away.gaps == [1, 2, 4, 8, 16, 32, 60, 60]
    assert there.gaps == [10] * 19
    assert [line for line in said if "away" in line] == [
        "away: away's server cannot be reached; it is asked again"
    ]
    assert poller.away == ["away: away's server cannot be reached"]
    away.away = False
    go_on(poller, inbox, clock, 60)
    assert "away: asked again, and answered" in said
    assert poller.away == []
    assert inbox.get("away:1") is not None
    assert away.gaps[-3:] == [1, 1, 1], "as often as before"


def test_a_pause_has_a_longest_however_long_an_outage_is() -> None:
    assert [pause_after(n, 2, 300) for n in (1, 2, 8, 9, 2000)] == [2, 4, 256, 300, 300]


def test_it_polls_in_a_thread_of_its_own_and_wakes_the_watch(poller_of, inbox: Inbox) -> None:
    poller, _ = poller_of(Source("registry"))
    ended, wake = threading.Event(), threading.Event()
    thread = threading.Thread(target=poller.serve, args=(ended, wake))
    thread.start()
    try:
        assert wake.wait(30)
        assert [each.event.key for each in inbox.waiting()] == ["registry:1"]
    finally:
        ended.set()
        thread.join()
