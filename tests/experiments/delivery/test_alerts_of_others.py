"""An alert about a version that serves no longer takes no other out of service."""

from __future__ import annotations

import pytest
from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.ledger import Action, Entry
from fairtrial.delivery.reacting import is_outlived


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
