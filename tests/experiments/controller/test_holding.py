"""A run that is held stands still, is judged, and stands where it stood after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
from experiments.clocks import StoppedClock
from fairtrial.controller.holding import HeldLooks
from fairtrial.journal.entries import Kind
from fairtrial.journal.store import Journal


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.create(tmp_path / "journal.db", StoppedClock())


def judged(journal: Journal, look: int) -> None:
    journal.append(Kind.LOOK, {"look": look, "verdict": {"verdict": "CONTINUE", "candidate": "v2"}})


def test_each_look_is_held_or_not_as_it_was_at_that_time(journal: Journal):
    why: list[str | None] = [None]
    held = HeldLooks(journal, lambda: why[0])
    seen: list[bool] = []
    for look in range(1, 8):
        why[0] = "paused" if look in (3, 4, 6) else None
        seen.append(held.at(look))
        judged(journal, look)
    assert seen == [False, False, True, True, False, True, False]
    again = HeldLooks(journal, lambda: pytest.fail("these looks are known"))
    assert [again.at(look) for look in range(1, 8)] == seen


def test_what_came_while_nobody_looked_is_held_by_what_holds_now(journal: Journal):
    held = HeldLooks(journal, lambda: None)
    assert not held.at(1)
    judged(journal, 1)
    assert HeldLooks(journal, lambda: "paused").at(2)
    assert [entry.body for entry in journal.entries(Kind.HELD)] == [{"look": 2, "reason": "paused"}]


def test_a_hold_outlives_the_process_that_began_it(journal: Journal):
    held = HeldLooks(journal, lambda: "paused")
    assert held.at(1)
    judged(journal, 1)
    resumed = HeldLooks(journal, lambda: None)
    assert resumed.at(1)
    assert not resumed.at(2)
    assert len(journal.entries(Kind.RELEASED)) == 1
