"""A run that goes forward in its windows only, on a clock that is moved and a backend that notes down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from experiments.clocks import StoppedClock
from experiments.controller.test_exchange import Killed, World
from experiments.streams import START, Load
from fairtrial.console.interface import Quiet
from fairtrial.controller.approval import ApprovalGate
from fairtrial.controller.holding import AllHolds
from fairtrial.controller.retreat import retreating
from fairtrial.controller.run import Controller
from fairtrial.controller.windows import WindowGate
from fairtrial.errors import AbortedError, NotReadyError
from fairtrial.experiment.reading import parse
from fairtrial.journal.entries import Effect, Entry, Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.store import Journal
from fairtrial.journal.waiting import waits_for
from fairtrial.planning.budget import check_open
from fairtrial.planning.plan import Plan, plan_of
from fairtrial.replaying import replay
from fairtrial.report.history import Event
from fairtrial_graphs.backends.interface import ArmEndpoint, Route, Serving
from fairtrial_graphs.build import Arm, build
from fairtrial_graphs.seldon.text import render
from fairtrial_graphs.seldon.types import SeldonDeployment
from fairtrial_loadtests.parts import part_path
from fairtrial_loadtests.plan import LoadPlan

_FILE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
spec:
  deployment: seldondeployment.yaml
  baseline: {name: v1}
  candidates: [{name: v2}]
  strategy: {canary: {steps: [{setWeight: 10, pause: 10s}, {setWeight: 50}]}}
  traffic: {loadTest: {maxDuration: 60s, requests: {data: rows.csv}}}
  metrics: [{name: accuracy, minEffect: 2pp}]
  schedule: {windows: [{cron: "0 9 * * 1-5", lasts: 8h}]}
"""
_UNDECIDED, _BETTER, _WORSE = (0.9, 0.92), (0.9, 0.99), (0.9, 0.8)
_MONDAY = "the next window of spec.schedule opens Mon 2026-11-30 09:00 UTC"


def at(text: str) -> float:
    """Seconds since the epoch; UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class Told(Quiet):
    """What somebody who watches reads."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def phase(self, message: str) -> None:
        self.lines.append(message)

    def event(self, event: Event) -> None:
        self.lines.append(event.message)


class Second:
    """A load that brings what it has observed with each second of the clock."""

    returncode, error = 0, ""

    def __init__(self, plan: LoadPlan, clock: StoppedClock, accuracy: tuple[float, float]) -> None:
        self._plan = plan
        self._clock = clock
        self._part = plan.first_part
        table = Load(split=0.0, accuracy=accuracy, rows=6000).table()
        ids = [str(n) for n in range(table.num_rows)]
        table = table.set_column(table.schema.get_field_index("id"), "id", pa.array(ids))
        times = table.column("time").to_numpy() - START
        ends = np.searchsorted(times, np.arange(0, 61))
        self._seconds = [table.slice(a, b - a) for a, b in pairwise(ends)]

    def start(self) -> None:
        self._began = self._clock.now() - self._part

    @property
    def alive(self) -> bool:
        return self._part < len(self._seconds)

    def poll(self) -> Sequence[Path]:
        found: list[Path] = []
        while self.alive and self._part < self._clock.now() - self._began:
            found.append(part_path(self._plan.output, self._part))
            pq.write_table(self._seconds[self._part], found[-1])
            self._part += 1
        return found

    def incidents(self) -> Sequence[str]:
        return ()

    def stop(self) -> int:
        return 0


class Arms(World):
    """As `World`, at addresses that nobody asks."""

    def apply(self, deployment: SeldonDeployment, route: Route, progress: Callable[[str], None]) -> Serving:
        serving = super().apply(deployment, route, progress)
        arms = {name: ArmEndpoint(name, "http://127.0.0.1:1", name) for name in ("v1", "v2")}
        return replace(serving, arms=arms)


class Moving(StoppedClock):
    """Time passes faster while hours are waited for, and things happen at their moments."""

    def __init__(self, time: float) -> None:
        super().__init__(time)
        self.due: dict[float, Callable[[], object]] = {}
        self.fast = 1.0

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds * self.fast)
        for moment in sorted(moment for moment in self.due if moment <= self.time):
            self.due.pop(moment)()


class Trial:
    """Of one run, by as many processes as it takes."""

    def __init__(self, folder: Path, begins: str, accuracy: tuple[float, float] = _UNDECIDED) -> None:
        arms = [Arm(name, f"s3://models/{name}", "SKLEARN_SERVER") for name in ("v1", "v2")]
        folder.mkdir(exist_ok=True)
        (folder / "seldondeployment.yaml").write_text(render(build("wine", arms)), encoding="utf-8")
        (folder / "rows.csv").write_text("x\n" + "1\n" * 6000, encoding="utf-8")
        self._home = folder
        self.text = _FILE
        self.clock = Moving(at(begins))
        self.world = Arms(self.clock)
        self.console = Told()
        self.folder = RunFolder(folder / "run")
        self.folder.observations.mkdir(parents=True)
        self._accuracy = accuracy
        Journal.create(self.folder.journal, self.clock).close()

    @property
    def plan(self) -> Plan:
        return plan_of(parse(self.text.encode(), source="e.yaml", folder=self._home))

    def go(self, kill_at: Callable[[Entry], bool] = lambda _: False) -> str:
        """Its decision, or that it was aborted."""
        journal = Journal.open(self.folder.journal, self.clock)
        append = journal.append

        def dying(kind: Kind, body: Mapping[str, Any] | None = None, **effect: Any) -> int:
            number = append(kind, body, **effect)
            if kill_at(Entry(number, 0.0, kind, effect.get("effect"), dict(body or {}))):
                raise Killed
            return number

        journal.append = dying  # type: ignore[method-assign]
        plan = self.plan
        spec = plan.experiment.spec
        holds = AllHolds(
            ApprovalGate(spec.approval, journal, self.clock.now, "fairtrial approve run"),
            WindowGate(spec.schedule, journal, self.clock.now),
        )
        load = lambda wanted: Second(wanted, self.clock, self._accuracy)  # noqa: E731
        controller = Controller(
            plan, self.folder, journal, self.world, load, self.console, self.clock, holds=holds
        )
        try:
            with retreating(controller, plan.baseline, self.world, journal, self.console):
                return controller.run().decision.value
        except AbortedError:
            return "aborted"
        finally:
            journal.close()

    def at(self, moment: str, happens: Callable[[], object]) -> None:
        self.clock.due[at(moment)] = happens

    def ask_to_abort(self) -> None:
        self.note(Kind.ABORT)

    def note(self, kind: Kind, **body: str) -> None:
        journal = Journal.open(self.folder.journal, self.clock)
        journal.append(kind, body)
        journal.close()

    def die(self) -> None:
        raise Killed

    def entries(self, *kinds: Kind) -> list[Entry]:
        journal = Journal.open(self.folder.journal, self.clock)
        found = journal.entries(*kinds)
        journal.close()
        return found

    def served(self) -> list[tuple[float, dict[str, int]]]:
        """Each division of the traffic once, with its time."""
        found: list[tuple[float, dict[str, int]]] = []
        for moment, weights in self.world.served:
            if not found or found[-1][1] != weights:
                found.append((moment, weights))
        return found

    def said(self, words: str) -> list[str]:
        return [line for line in self.console.lines if words in line]


class TestBeforeItBegins:
    @pytest.fixture
    def trial(self, tmp_path: Path) -> Trial:
        trial = Trial(tmp_path, "2026-11-28T20:00", _BETTER)
        trial.clock.fast = 100.0
        return trial

    def test_nothing_is_deployed_until_the_window_opens_and_that_is_told_once(self, trial: Trial):
        def work() -> None:
            trial.clock.fast = 1.0

        trial.at("2026-11-30T09:00", work)
        assert trial.go() == "PROMOTE"
        assert trial.world.served[0] == (pytest.approx(at("2026-11-30T09:00"), abs=30), {"v1": 90, "v2": 10})
        assert trial.said("waits") == [f"the trial waits to begin: {_MONDAY}"]
        (waited,) = trial.entries(Kind.AWAITS_WINDOW)
        assert waited.body == {
            "to": "begin", "until": at("2026-11-30T09:00"), "reason": f"the trial waits to begin: {_MONDAY}",
        }  # fmt: skip

    def test_it_can_be_aborted_and_there_is_nothing_to_return_from(self, trial: Trial):
        trial.at("2026-11-29T03:00", trial.ask_to_abort)
        assert trial.go() == "aborted"
        assert trial.clock.now() == pytest.approx(at("2026-11-29T03:00"), abs=30)
        assert trial.world.served == []

    def test_one_that_was_killed_waits_on_for_the_same_window(self, trial: Trial):
        trial.at("2026-11-29T03:00", trial.die)
        with pytest.raises(Killed):
            trial.go()
        assert waits_for(trial.entries(), trial.clock.now()) == f"the trial waits to begin: {_MONDAY}"
        trial.at("2026-11-30T08:00", trial.die)
        with pytest.raises(Killed):
            trial.go()
        assert len(trial.entries(Kind.AWAITS_WINDOW)) == 1
        assert waits_for(trial.entries(), at("2026-11-30T09:00")) is None
        assert trial.world.served == []

    def test_an_interrupt_leaves_it_to_be_resumed(self, trial: Trial):
        def interrupt() -> None:
            raise KeyboardInterrupt

        trial.at("2026-11-29T03:00", interrupt)
        with pytest.raises(KeyboardInterrupt):
            trial.go()
        trial.clock.time = at("2026-11-30T10:00")
        trial.clock.fast = 1.0
        assert trial.go() == "PROMOTE"

    def test_a_freeze_within_a_window_is_waited_out(self, trial: Trial):
        trial.text = _FILE.replace(
            "schedule: {", "schedule: {freezes: [{from: 2026-11-29, to: 2026-11-30T11:00}], "
        )
        trial.at("2026-11-30T10:00", trial.die)
        with pytest.raises(Killed):
            trial.go()
        told = "the trial waits to begin: the freeze of spec.schedule ends Mon 2026-11-30 11:00 UTC"
        assert trial.said("waits") == [told]


class TestBetweenTwoSteps:
    def test_a_window_that_closes_holds_the_step_while_the_run_is_judged(self, tmp_path: Path):
        trial = Trial(tmp_path, "2026-11-30T16:59:55")
        assert trial.go() == "INCONCLUSIVE"
        assert [weights for _, weights in trial.served()] == [{"v1": 90, "v2": 10}, {"v1": 100}]
        (held,) = trial.entries(Kind.HELD)
        opens = "the next window of spec.schedule opens Tue 2026-12-01 09:00 UTC"
        assert held.body["reason"] == opens
        assert trial.said("waits") == [f"the next step waits: {opens}"]
        assert len(trial.entries(Kind.LOOK)) > 50

    def test_the_step_is_taken_once_a_window_opens_and_the_journal_says_the_same_again(self, tmp_path: Path):
        trial = Trial(tmp_path, "2026-11-30T16:59:35")
        minutes = '{cron: "59 16 * * *", lasts: 40s}, {cron: "0 17 * * *", lasts: 1m}'
        trial.text = _FILE.replace('{cron: "0 9 * * 1-5", lasts: 8h}', minutes)
        assert trial.go() == "INCONCLUSIVE"
        (_, first), (shifted, second), (_, last) = trial.served()
        assert [first, second, last] == [{"v1": 90, "v2": 10}, {"v1": 50, "v2": 50}, {"v1": 100}]
        assert shifted == pytest.approx(at("2026-11-30T17:00"), abs=3)
        assert [entry.kind for entry in trial.entries(Kind.HELD, Kind.RELEASED)] == [Kind.HELD, Kind.RELEASED]
        journal = Journal.open(trial.folder.journal, trial.clock)
        assert replay(trial.folder, journal, trial.plan).same
        journal.close()

    def test_one_that_was_killed_while_it_was_held_stands_where_it_stood(self, tmp_path: Path):
        trial = Trial(tmp_path, "2026-11-30T16:59:55")
        with pytest.raises(Killed):
            trial.go(kill_at=lambda entry: entry.kind is Kind.LOOK and entry.body["look"] == 20)
        assert str(waits_for(trial.entries(), trial.clock.now())).startswith("the next step waits: the next")
        assert trial.go() == "INCONCLUSIVE"
        assert [weights for _, weights in trial.served()] == [{"v1": 90, "v2": 10}, {"v1": 100}]
        assert len(trial.entries(Kind.HELD)) == 1


class TestBeforeItPromotes:
    @pytest.fixture
    def trial(self, tmp_path: Path) -> Trial:
        """One that passes within its window's last seconds, and some."""
        trial = Trial(tmp_path, "2026-11-27T16:59:58", _BETTER)

        def wait() -> None:
            trial.clock.fast = 100.0

        trial.at("2026-11-27T17:02:00", wait)
        return trial

    def test_a_candidate_that_has_passed_waits_for_the_next_window(self, trial: Trial):
        assert trial.go() == "PROMOTE"
        moment, weights = trial.served()[-1]
        assert (moment, weights) == (pytest.approx(at("2026-11-30T09:00"), abs=30), {"v2": 100})
        assert trial.said("to be promoted") == [f"v2 waits to be promoted: {_MONDAY}"]

    def test_one_that_waits_can_be_aborted_at_any_time(self, trial: Trial):
        trial.at("2026-11-28T12:00", trial.ask_to_abort)
        assert trial.go() == "aborted"
        assert trial.served()[-1] == (pytest.approx(at("2026-11-28T12:00"), abs=30), {"v1": 100})

    def test_one_that_was_killed_waits_on_and_says_so(self, trial: Trial):
        trial.at("2026-11-28T12:00", trial.die)
        with pytest.raises(Killed):
            trial.go()
        assert waits_for(trial.entries(), trial.clock.now()) == f"the promotion waits: {_MONDAY}"
        assert trial.go() == "PROMOTE"
        assert trial.served()[-1] == (pytest.approx(at("2026-11-30T09:00"), abs=30), {"v2": 100})
        assert len(trial.entries(Kind.AWAITS_WINDOW)) == 1
        journal = Journal.open(trial.folder.journal, trial.clock)
        assert replay(trial.folder, journal, trial.plan).same
        journal.close()

    def test_a_yes_and_a_window_are_both_needed(self, trial: Trial):
        trial.text = _FILE + "  approval: {}\n"
        trial.at("2026-11-28T12:00", lambda: trial.note(Kind.APPROVED, by="ann"))
        assert trial.go() == "PROMOTE"
        assert trial.served()[-1][0] == pytest.approx(at("2026-11-30T09:00"), abs=30)
        asked, left = trial.said("to be promoted")
        assert asked.startswith("v2 waits to be promoted: spec.approval asks for somebody's yes")
        assert asked.endswith(f"; {_MONDAY}")
        assert left == f"v2 waits to be promoted: {_MONDAY}"

    def test_a_yes_that_comes_after_the_window_has_closed_waits_for_the_next(self, trial: Trial):
        trial.text = _FILE + "  approval: {}\n"
        trial.at("2026-11-30T18:00", lambda: trial.note(Kind.APPROVED, by="ann"))
        assert trial.go() == "PROMOTE"
        assert trial.served()[-1][0] == pytest.approx(at("2026-12-01T09:00"), abs=30)


def test_a_candidate_that_loses_outside_of_a_window_is_rolled_back_at_once(tmp_path: Path):
    trial = Trial(tmp_path, "2026-11-27T16:59:58", _WORSE)
    assert trial.go() == "ROLLBACK"
    moment, weights = trial.served()[-1]
    assert weights == {"v1": 100}
    assert at("2026-11-27T17:00") < moment < at("2026-11-27T17:02")
    assert not trial.entries(Kind.AWAITS_WINDOW)


def test_a_step_that_was_owed_when_the_process_died_is_not_taken_outside(tmp_path: Path):
    twin = Trial(tmp_path / "twin", "2026-11-30T10:00")
    twin.go()
    shift = next(entry for entry in twin.entries(Kind.INTENDED) if entry.effect is Effect.SHIFT)
    trial = Trial(tmp_path / "trial", "2026-11-30T10:00")
    with pytest.raises(Killed):
        trial.go(kill_at=lambda entry: entry.seq == shift.seq - 1)
    trial.clock.time = at("2026-11-30T18:00")
    assert trial.go() == "INCONCLUSIVE"
    assert [weights for _, weights in trial.served()] == [{"v1": 90, "v2": 10}, {"v1": 100}]


def test_a_run_that_had_begun_is_taken_up_again_outside_of_its_windows(tmp_path: Path):
    trial = Trial(tmp_path, "2026-11-30T10:00")
    trial.at("2026-11-30T10:00:05", trial.die)
    with pytest.raises(Killed):
        trial.go()
    trial.clock.time = at("2026-11-30T18:00")
    assert trial.go() == "INCONCLUSIVE"
    assert not trial.said("waits to begin")


@pytest.mark.parametrize(
    ("now", "wrong"),
    [
        ("2026-11-30T10:00", None),
        ("2026-11-28T10:00", f"--budget 1h: {_MONDAY}; run it then, or without a budget, and it waits"),
        (
            "2026-11-30T16:30",
            "lets nothing be promoted from Mon 2026-11-30 17:00 UTC on, and the next window",
        ),
    ],
)
def test_a_budget_waits_for_no_window(tmp_path: Path, now: str, wrong: str | None):
    experiment = Trial(tmp_path, now).plan.experiment
    if wrong is None:
        check_open(experiment, 3600.0, at(now))
        return
    with pytest.raises(NotReadyError, match=wrong):
        check_open(experiment, 3600.0, at(now))
