"""A pipeline's trial that waits for its window keeps nothing else waiting."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest
from experiments.clocks import StoppedClock
from experiments.delivery.conftest import EXPERIMENT, OLD_SQL, Models
from experiments.delivery.watches import Watched, pipeline_of
from fairtrial.delivery import trial
from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.inbox import Inbox
from fairtrial.delivery.ledger import Action
from fairtrial.errors import UsageError
from fairtrial.journal.entries import Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.store import Journal

pytestmark = OLD_SQL

_FREEZE = "  schedule: {freezes: [{from: 2025-06-01, to: 2025-12-31}]}\n"


def kinds(folder: RunFolder) -> list[Kind]:
    journal = Journal.open(folder.journal, StoppedClock())
    found = [entry.kind for entry in journal.entries()]
    journal.close()
    return found


@pytest.fixture
def watched(wine: Models, tmp_path: Path) -> Iterator[Watched]:
    """Version 1 serves; a challenger is put to a trial that is frozen until the year's end."""
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(wine.trained / "holdout.parquet", project)
    (project / "experiment.yaml").write_text(EXPERIMENT.replace("MODEL", "wine") + _FREEZE)
    drift = {"name": "drift", "cloudEvent": {"type": "drift"}, "do": ["notify"]}
    who = [{"webhook": "http://127.0.0.1:9/"}]
    triggers = [{"name": "new", "registry": {}}, drift]
    watched = Watched(
        pipeline_of(project, wine.url, triggers=triggers, listen={"port": 0}, notifications=who)
    )
    wine.give("champion", wine.add("v1"))
    watched.once()
    yield watched
    watched.state.close()


def test_what_comes_up_meanwhile_is_done_and_the_trial_begins_when_it_may(
    wine: Models, watched: Watched, monkeypatch: pytest.MonkeyPatch
):
    wine.give("challenger", wine.add("v2"))
    assert watched.once() == []
    assert watched.said[-1] == (
        "new: version 2 is to be tried: "
        "the trial waits to begin: the freeze of spec.schedule ends Thu 2026-01-01 00:00 UTC"
    )
    waiting = len(watched.said)
    drifted = Event("drift:1", Happening.ALERT, "drift", watched.clock.now(), {})
    Inbox(watched.state).put([drifted])
    assert [entry.action for entry in watched.work()] == [Action.NOTED]
    assert len(watched.said) == waiting, "it is said once"
    assert not list(watched.folder.glob("runs/*")), "no run was begun"

    begun: list[Path] = []

    def start(file: Path, *_: object) -> NoReturn:
        begun.append(file)
        raise UsageError("the servers of a trial are not for here")

    monkeypatch.setattr(trial, "start", start)
    watched.clock.time = datetime(2025, 12, 31, 23, 59, tzinfo=UTC).timestamp()
    watched.work()
    assert not begun
    watched.clock.sleep(61)
    watched.work()
    assert [file.name for file in begun] == ["experiment.yaml"]


def test_the_aliass_new_holder_is_noticed_while_a_trial_waits(wine: Models, watched: Watched):
    wine.give("challenger", wine.add("v2"))
    watched.once()
    wine.give("champion", wine.add("v1"))
    watched.clock.sleep(31)
    watched.work()  # looks
    watched.work()
    assert watched.history[-1] == ("adopted", "3", "1")


@pytest.mark.parametrize("waits", [True, False])
def test_a_verdict_is_waited_for_no_longer_than_it_takes_to_act_on_it(tmp_path: Path, waits: bool):
    clock = StoppedClock()
    folder = RunFolder(tmp_path / "wine-1")
    folder.path.mkdir()
    journal = Journal.create(folder.journal, clock)
    journal.append(Kind.STARTED)
    journal.append(Kind.VERDICT, {"verdict": "PROMOTE"})
    if waits:
        journal.append(
            Kind.AWAITS_WINDOW, {"to": "promote", "until": clock.now() + 60, "reason": "the promotion waits"}
        )
    journal.close()
    assert trial._abort(tmp_path, clock) is waits
    assert (Kind.ABORT in kinds(folder)) is waits
