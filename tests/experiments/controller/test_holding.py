"""A run that is held stands still, is judged, and stands where it stood after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
from experiments.clocks import StoppedClock
from fairtrial.controller.holding import AllHolds, HeldLooks, NoHolds
from fairtrial.journal.entries import Effect, Kind
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
    journal.append(Kind.INTENDED, {"revision": "step-2"}, effect=Effect.SHIFT)
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


def test_a_step_that_was_owed_when_the_process_died_is_held_by_what_holds_now(journal: Journal):
    assert not HeldLooks(journal, lambda: None).at(1)
    judged(journal, 1)
    told: list[str] = []
    assert HeldLooks(journal, lambda: "paused", told.append).at(1)
    assert told == ["paused"]
    assert HeldLooks(journal, lambda: None).at(1), "it stands where it stood"
    assert not HeldLooks(journal, lambda: None).at(2)


class Held(NoHolds):
    """Holds everything."""

    def next_step(self) -> str:  # type: ignore[override]
        return "paused"

    promotion = start = next_step  # type: ignore[assignment]


def test_each_of_several_must_let_a_run_go_forward():
    assert AllHolds(NoHolds(), NoHolds()).next_step() is None
    both = AllHolds(Held(), NoHolds(), Held())
    assert [both.start(), both.next_step(), both.promotion()] == ["paused; paused"] * 3
