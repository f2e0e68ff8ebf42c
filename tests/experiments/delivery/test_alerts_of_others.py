"""An alert about a version that serves no longer takes no other out of service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from experiments.clocks import StoppedClock
from experiments.delivery.triggers.messages import pipeline
from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.inbox import Inbox
from fairtrial.delivery.ledger import Action, Entry, Ledger, in_service
from fairtrial.delivery.means import Means
from fairtrial.delivery.reacting import handle, is_outlived
from fairtrial.delivery.state import State
from fairtrial.registry.interface import Version


def entry(seq: int, action: Action, version: str, event: str = "e") -> Entry:
    return Entry(seq, 100.0 * seq, action, "wine", version, None, "why", "who", event, {}, "")


HISTORY = [
    entry(1, Action.ADOPTED, "1"),
    entry(2, Action.PROMOTED, "2"),
    entry(3, Action.ROLLED_BACK, "1", "first"),
    entry(4, Action.REFUSED, "3"),
]


def alert(key: str, time: float, happening: Happening = Happening.ALERT) -> Event:
    return Event(key, happening, "degraded", time)


def test_one_that_began_before_what_serves_says_nothing_of_it():
    said = "it began before version 1 was put into service"
    assert is_outlived(alert("second", 299.0), HISTORY) == said
    assert is_outlived(alert("second", 300.0), HISTORY) is None
    assert is_outlived(alert("second", 350.0), HISTORY) is None
    assert is_outlived(alert("second", 199.0), HISTORY[:2]) == said.replace("1", "2")


@pytest.mark.parametrize("history", [[], HISTORY])
def test_the_one_that_did_it_may_be_finished_after_a_kill(history: list[Entry]):
    assert is_outlived(alert("first", 250.0), history) is None


def test_an_age_or_a_time_is_always_of_what_serves():
    assert is_outlived(alert("x", 0.0, Happening.EXPIRED), HISTORY) is None
    assert is_outlived(alert("x", 0.0, Happening.SCHEDULED), HISTORY) is None


@dataclass
class Kept:
    """A registry and a service that remember what they were told. Both are real in test_story.py."""

    champion: str = "3"
    serves: list[str] = field(default_factory=list[str])

    def version(self, version: str) -> Version:
        return Version("wine", version, f"models:/wine/{version}", 0.0, {})

    def move(self, alias: str, version: str) -> None:
        del alias
        self.champion = version

    def tag(self, version: str, tags: Mapping[str, str]) -> None: ...

    def serve(self, pinned: Any) -> str:
        self.serves.append(pinned.version)
        return "http://127.0.0.1"


def test_two_series_of_one_bad_version_roll_back_once(tmp_path: Path):
    degraded = {"name": "degraded", "alert": {"match": {"alertname": "x"}}, "do": ["rollBack"]}
    clock, state, kept = StoppedClock(), State(tmp_path), Kept()
    ledger, inbox = Ledger(state, "wine", clock), Inbox(state)
    known: Any = kept
    means = Means(pipeline(degraded), state, ledger, known, known, clock, lambda _: None, lambda *_: None)
    for version in "123":
        inbox.put([Event(f"new:{version}", Happening.CHALLENGER, "new", clock.now())])
        (taken,) = inbox.waiting()
        ledger.close_with(
            taken, Action.PROMOTED, version=version, before=None, why="better", by="us", evidence={}
        )
        clock.time += 1000
    began = clock.now() - 300
    inbox.put([alert("first", began), alert("second", began + 1)])
    for taken in inbox.waiting():
        clock.time += 10
        handle(means, taken, lambda: False)
    assert inbox.waiting() == []
    assert (kept.serves, kept.champion) == (["2"], "2")
    serving = in_service(ledger.entries())
    assert serving is not None
    assert serving.version == "2"
    assert ledger.entries()[-1].action is Action.NOTED

    inbox.put([alert("later", clock.now() + 5)])
    (taken,) = inbox.waiting()
    clock.time += 10
    handle(means, taken, lambda: False)
    assert (kept.serves, kept.champion) == (["2", "1"], "1")
    state.close()
