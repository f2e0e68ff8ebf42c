"""A promotion that waits for a person, on a clock that is moved and a backend that only notes down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from experiments.controller.test_exchange import Fuse, Killed, Run
from fairtrial.cli.group import cli
from fairtrial.console.interface import Quiet
from fairtrial.controller.approval import ApprovalGate
from fairtrial.controller.run import Controller
from fairtrial.errors import AbortedError
from fairtrial.experiment.approval import Approval
from fairtrial.journal.entries import Effect, Kind
from fairtrial.journal.store import Journal


class Waiting(Run):
    """A run whose candidate has won, and that somebody is to approve within an hour."""

    approval = Approval.model_validate({"timeout": "1h"})

    def go_on(self, fuse: Fuse | None = None) -> str:
        journal = (fuse or Fuse()).guard(Journal.open(self.folder.journal, self.clock))
        gate = ApprovalGate(self.approval, journal, self.clock.now, "fairtrial approve run")
        controller = Controller(
            self.plan, self.folder, journal, self.world, _no_load, Quiet(), self.clock,
            holds=gate,
        )  # fmt: skip
        try:
            return controller.run().decision.value
        except AbortedError as error:
            controller.return_to_baseline()
            return str(error)
        finally:
            journal.close()

    def entries(self, kind: Kind) -> list[dict[str, object]]:
        journal = Journal.open(self.folder.journal, self.clock)
        found = [entry.body for entry in journal.entries(kind)]
        journal.close()
        return found

    def say(self, *verb: str) -> Result:
        return CliRunner().invoke(cli, [*verb, str(self.folder.path)])


#: Seconds after the run began to wait, and what happens then.
After = Callable[[float, Callable[[], object]], None]


def _no_load(_: object) -> Any:
    raise AssertionError("all observations are recorded")


@pytest.fixture
def run(tmp_path: Path) -> Waiting:
    return Waiting(tmp_path)


@pytest.fixture
def after(run: Waiting, monkeypatch: pytest.MonkeyPatch) -> After:
    """Have something happen so many seconds after the run began to wait."""
    began, sleep = run.clock.now(), run.clock.sleep

    def at(seconds: float, happens: Callable[[], object]) -> None:
        done: list[object] = []

        def sleep_and_happen(asked: float) -> None:
            sleep(asked)
            if run.clock.now() - began >= seconds and not done:
                done.append(happens)
                happens()

        monkeypatch.setattr(run.clock, "sleep", sleep_and_happen)

    return at


def test_it_is_promoted_once_somebody_approves_and_who_did_is_written_down(run: Waiting, after: After):
    began = run.clock.now()
    after(100, lambda: run.say("approve"))
    assert run.go_on() == "PROMOTE"
    assert [effect for effect, _ in run.done()] == [Effect.SWITCH, Effect.PROMOTE]
    assert run.done()[0][1] - began == pytest.approx(100, abs=1)
    (approved,) = run.entries(Kind.APPROVED)
    assert "@" in str(approved["by"])
    assert len(run.entries(Kind.AWAITS_APPROVAL)) == 1


def test_when_nobody_does_in_time_it_ends_at_the_baseline(run: Waiting):
    began = run.clock.now()
    assert run.go_on().endswith("was aborted as nobody approved the promotion within 1h")
    assert [effect for effect, _ in run.done()] == [Effect.ROLLBACK]
    assert run.world.served[-1] == (pytest.approx(began + 3600, abs=1), {"v1": 100})
    assert run.say("approve").exit_code == 2


def test_a_run_that_was_killed_waits_no_longer_than_it_would_have(run: Waiting, after: After):
    began = run.clock.now()

    def die() -> None:
        raise Killed

    after(600, die)
    with pytest.raises(Killed):
        run.go_on()
    run.clock.time += 2900
    assert "nobody approved" in run.go_on()
    assert run.world.served[-1] == (pytest.approx(began + 3600, abs=1), {"v1": 100})


def test_what_was_approved_while_the_run_was_down_is_promoted_when_it_is_resumed(run: Waiting, after: After):
    def die() -> None:
        raise Killed

    after(600, die)
    with pytest.raises(Killed):
        run.go_on()
    said = run.say("approve")
    assert "fairtrial resume" in said.output
    assert run.go_on() == "PROMOTE"
    again = run.say("approve")
    assert (again.exit_code, "approved already" in str(again.exception) + again.output) == (2, True)


def test_one_that_waits_can_be_aborted(run: Waiting, after: After):
    after(50, run.ask_to_abort)
    assert run.go_on().endswith("was aborted on request")
    assert run.world.served[-1][1] == {"v1": 100}


def test_where_none_is_required_nothing_waits(run: Waiting):
    run.approval = Approval(required=False)
    assert run.go_on() == "PROMOTE"
    assert not run.entries(Kind.AWAITS_APPROVAL)


def test_a_run_that_waits_for_nobody_cannot_be_approved(run: Waiting):
    said = run.say("approve")
    assert said.exit_code == 2
