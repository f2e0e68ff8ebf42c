"""The challenger's alias, at the cursor's level; tests/…/test_registry_webhook.py has a real MLflow."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.inbox import Inbox
from fairtrial.delivery.state import State
from fairtrial.delivery.triggers.registry import AliasTrigger
from fairtrial.errors import NotReadyError


@dataclass(frozen=True)
class Held:
    model: str
    version: str


@dataclass
class Registry:
    now: Held | None = None
    asked: list[str] = field(default_factory=list)
    away: bool = False

    def holder(self, alias: str) -> Held | None:
        self.asked.append(alias)
        if self.away:
            raise NotReadyError("the registry is away")
        return self.now


@pytest.fixture
def registry() -> Registry:
    return Registry()


def trigger(registry: Registry) -> AliasTrigger:
    return AliasTrigger("new", registry, "challenger", 30.0)


def test_the_first_poll_of_an_alias_that_is_held_gives_an_event(registry: Registry):
    registry.now = Held("wine", "7")
    assert trigger(registry).poll(5.0, None).events == (
        Event("new:wine:7:1", Happening.CHALLENGER, "new", 5.0, {"model": "wine", "version": "7"}),
    )
    assert registry.asked == ["challenger"]


def test_one_that_stays_gives_none_and_one_that_comes_back_is_new(registry: Registry):
    cursor: str | None = None
    keys: list[str] = []
    for version in (None, "7", "7", "8", "7", None, None, "7", "7"):
        registry.now = Held("wine", version) if version else None
        polled = trigger(registry).poll(0.0, cursor)  # each time as after a restart
        cursor = polled.cursor
        keys += [event.key for event in polled.events]
    assert keys == ["new:wine:7:1", "new:wine:8:2", "new:wine:7:3", "new:wine:7:4"]


def test_the_same_version_of_another_model_is_another(registry: Registry):
    registry.now = Held("wine", "7")
    first = trigger(registry).poll(0.0, None)
    registry.now = Held("beer", "7")
    assert [event.key for event in trigger(registry).poll(0.0, first.cursor).events] == ["new:beer:7:2"]


def test_a_poll_that_died_before_it_was_kept_is_made_again_to_the_same_end(
    registry: Registry, tmp_path: Path
):
    registry.now = Held("wine", "7")
    state = State(tmp_path)
    inbox = Inbox(state)
    trigger(registry).poll(0.0, inbox.cursor("new"))  # and killed here
    for _ in range(3):
        polled = trigger(registry).poll(0.0, inbox.cursor("new"))
        assert polled.cursor is not None
        inbox.put(polled.events, cursor=("new", polled.cursor))
    assert [taken.event.key for taken in inbox.all()] == ["new:wine:7:1"]
    state.close()


def test_it_is_due_at_once_then_after_its_interval_and_at_once_when_nudged(registry: Registry):
    asked = trigger(registry)
    assert asked.due(100.0, None) == 100.0
    assert asked.due(100.0, 90.0) == 120.0
    assert asked.due(100.0, 500.0) == 100.0, "the clock was set back"
    asked.nudge()
    assert asked.due(100.0, 90.0) == 100.0
    asked.poll(100.0, None)
    assert asked.due(101.0, 100.0) == 130.0


def test_a_registry_that_is_away_loses_nothing(registry: Registry):
    registry.now, registry.away = Held("wine", "7"), True
    asked = trigger(registry)
    with pytest.raises(NotReadyError):
        asked.poll(0.0, None)
    registry.away = False
    assert [event.key for event in asked.poll(1.0, None).events] == ["new:wine:7:1"]
