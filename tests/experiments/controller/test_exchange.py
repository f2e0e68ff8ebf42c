"""The switch of blueGreen and the way back, on a clock that is moved and a backend that only notes down.

The observations are recorded already, so that a run has its verdict at once and all else is effects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from experiments.clocks import StoppedClock
from experiments.streams import Load
from fairtrial.console.interface import Quiet
from fairtrial.controller.run import Controller
from fairtrial.errors import AbortedError
from fairtrial.experiment.reading import parse
from fairtrial.journal.entries import Effect, Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.store import Journal
from fairtrial.planning.plan import Plan, plan_of
from fairtrial_graphs.backends.interface import Incident, Route, Serving
from fairtrial_graphs.build import Arm, build, weights
from fairtrial_graphs.seldon.text import render
from fairtrial_graphs.seldon.types import SeldonDeployment
from fairtrial_loadtests.parts import part_path

_FILE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
spec:
  deployment: seldondeployment.yaml
  baseline: {name: v1}
  candidates: [{name: v2}]
  strategy: {blueGreen: {keepFor: 10m}}
  traffic: {loadTest: {requests: {data: rows.csv}}}
  metrics: [{name: accuracy}]
"""
_KEPT = 600.0


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


@dataclass
class World:
    """What is served, by when; it outlives the controllers."""

    clock: StoppedClock
    served: list[tuple[float, dict[str, int]]] = field(default_factory=list)

    def apply(self, deployment: SeldonDeployment, route: Route, progress: Callable[[str], None]) -> Serving:
        del progress
        self.served.append((self.clock.now(), weights(deployment)))
        return Serving("http://split", {}, route.revision)

    outlives_run = False

    def incidents(self) -> Sequence[Incident]:
        return ()

    def release(self) -> None:
        return None

    def close(self) -> None:
        return None


@dataclass
class Fuse:
    """Kills at the journal's entry with this number: once it is written, or instead of writing it."""

    entry: int = -1
    written: bool = True
    count: int = 0

    def guard(self, journal: Journal) -> Journal:
        append = journal.append

        def dying(*args: Any, **details: Any) -> int:
            self.count += 1
            if self.count == self.entry and not self.written:
                raise Killed
            number = append(*args, **details)
            if self.count == self.entry:
                raise Killed
            return number

        journal.append = dying  # type: ignore[method-assign]
        return journal


class Run:
    """A run whose load is over and whose candidate has won."""

    def __init__(self, folder: Path) -> None:
        v1, v2 = (Arm(name, f"s3://models/{name}", "SKLEARN_SERVER") for name in ("v1", "v2"))
        (folder / "seldondeployment.yaml").write_text(render(build("wine", [v1, v2])), encoding="utf-8")
        (folder / "rows.csv").write_text("x\n" + "1\n" * 2000, encoding="utf-8")
        self.plan: Plan = plan_of(parse(_FILE.encode(), source="e.yaml", folder=folder))
        self.folder = RunFolder(folder / "run")
        self.folder.observations.mkdir(parents=True)
        pq.write_table(Load(split=0.0).table(), part_path(self.folder.observations, 0))
        self.clock = StoppedClock()
        self.world = World(self.clock)
        Journal.create(self.folder.journal, self.clock).close()

    def go_on(self, fuse: Fuse | None = None, interrupt_returns: bool = True) -> str:
        """As a process would that takes the run up: what it comes to."""
        journal = (fuse or Fuse()).guard(Journal.open(self.folder.journal, self.clock))
        controller = Controller(
            self.plan,
            self.folder,
            journal,
            self.world,
            _no_load,
            Quiet(),
            self.clock,
            interrupt_returns=interrupt_returns,
        )
        try:
            return controller.run().decision.value
        except AbortedError:
            controller.return_to_baseline()
            return "aborted"
        finally:
            journal.close()

    def done(self) -> list[tuple[Effect | None, float]]:
        journal = Journal.open(self.folder.journal, self.clock)
        found = [(entry.effect, entry.time) for entry in journal.entries(Kind.DONE)]
        journal.close()
        return found

    def ask_to_abort(self) -> None:
        journal = Journal.open(self.folder.journal, self.clock)
        journal.append(Kind.ABORT)
        journal.close()


def _no_load(_: object) -> Any:
    raise AssertionError("all observations are recorded")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


@pytest.fixture
def meanwhile(run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[float, Callable[[], None]]]:
    """What happens so many seconds after the run began to wait."""
    due: dict[float, Callable[[], None]] = {}
    began, sleep = run.clock.now(), run.clock.sleep

    def sleep_and_happen(seconds: float) -> None:
        sleep(seconds)
        for moment in [moment for moment in due if run.clock.now() - began >= moment]:
            due.pop(moment)()

    monkeypatch.setattr(run.clock, "sleep", sleep_and_happen)
    yield due
    assert not due, "it waited long enough for everything to happen"


def test_the_old_version_is_kept_for_its_time_and_then_removed(run: Run) -> None:
    began = run.clock.now()
    assert run.go_on() == "PROMOTE"
    (switch, switched), (promote, promoted) = run.done()
    assert (switch, promote) == (Effect.SWITCH, Effect.PROMOTE)
    assert (switched, promoted) == (began, pytest.approx(began + _KEPT))
    assert run.world.served[0] == (began, {"v1": 0, "v2": 100})
    assert run.world.served[-1] == (promoted, {"v2": 100})


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["abort", "signal"])
def test_within_that_time_the_way_back_is_taken_at_once(
    run: Run, meanwhile: dict[float, Callable[[], None]], how: str
) -> None:
    began = run.clock.now()
    meanwhile[100.0] = run.ask_to_abort if how == "abort" else _interrupt
    assert run.go_on() == "aborted"
    assert [effect for effect, _ in run.done()] == [Effect.SWITCH, Effect.ROLLBACK]
    at, served = run.world.served[-1]
    assert served == {"v1": 100}
    assert at - began == pytest.approx(100, abs=1)


def test_a_signal_that_asks_for_nothing_leaves_both_versions_to_the_next_process(
    run: Run, meanwhile: dict[float, Callable[[], None]]
) -> None:
    began = run.clock.now()
    meanwhile[100.0] = _interrupt
    with pytest.raises(KeyboardInterrupt):
        run.go_on(interrupt_returns=False)
    assert all(served == (began, {"v1": 0, "v2": 100}) for served in run.world.served)
    assert run.go_on() == "PROMOTE"
    assert run.done()[-1] == (Effect.PROMOTE, pytest.approx(began + _KEPT))


def test_time_that_passes_while_the_run_is_cut_off_counts(run: Run) -> None:
    began = run.clock.now()
    with pytest.raises(Killed):
        run.go_on(Fuse(_entries_until(run, Effect.SWITCH)))
    run.clock.time += 400
    assert run.go_on() == "PROMOTE"
    assert run.world.served[-2] == (began + 400, {"v1": 0, "v2": 100}), "both are served again"
    assert run.done()[-1] == (Effect.PROMOTE, pytest.approx(began + _KEPT))


def test_after_that_time_a_resumed_run_has_only_the_removal_left(run: Run) -> None:
    with pytest.raises(Killed):
        run.go_on(Fuse(_entries_until(run, Effect.SWITCH)))
    run.clock.time += _KEPT + 1
    served = len(run.world.served)
    now = run.clock.now()
    assert run.go_on() == "PROMOTE"
    assert run.world.served[served:] == [(now, {"v2": 100})]


@pytest.mark.parametrize("written", [True, False], ids=["after an entry", "before an entry"])
def test_a_run_killed_at_any_entry_is_switched_once_and_keeps_the_old_version(
    tmp_path: Path, written: bool
) -> None:
    for number in range(1, 1000):
        folder = tmp_path / str(number)
        folder.mkdir()
        run = Run(folder)
        fuse = Fuse(number, written)
        try:
            run.go_on(fuse)
        except Killed:
            run.clock.time += 50
            assert run.go_on() == "PROMOTE"
        (switch, switched), (promote, promoted) = run.done()
        assert (switch, promote) == (Effect.SWITCH, Effect.PROMOTE)
        assert promoted >= switched + _KEPT - 1e-6
        assert all("v1" in served for at, served in run.world.served if at < switched + _KEPT - 1e-6), (
            "the way back stays open"
        )
        assert run.world.served[-1][1] == {"v2": 100}
        if fuse.count < number:
            break
    assert number > 6


def test_a_run_killed_on_its_way_back_goes_on_that_way(
    run: Run, meanwhile: dict[float, Callable[[], None]]
) -> None:
    meanwhile[100.0] = _interrupt
    switch = _entries_until(run, Effect.SWITCH)
    with pytest.raises(Killed):
        run.go_on(Fuse(switch + 1))  # the abort stands in the journal, and nothing has come of it
    assert run.go_on() == "aborted"
    assert run.world.served[-1][1] == {"v1": 100}
    assert [effect for effect, _ in run.done()] == [Effect.SWITCH, Effect.ROLLBACK]


def _entries_until(run: Run, what: Effect) -> int:
    """How many entries an undisturbed run writes until this effect is done."""
    (run.folder.path / "twin").mkdir()
    twin = Run(run.folder.path / "twin")
    twin.go_on()
    journal = Journal.open(twin.folder.journal, twin.clock)
    entries = journal.entries()
    journal.close()
    return next(n for n, e in enumerate(entries, 1) if e.kind is Kind.DONE and e.effect is what)
