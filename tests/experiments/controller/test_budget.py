"""A run in a bounded time, on a clock that is moved: the horizon is fixed once the arms are ready."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from experiments.clocks import StoppedClock
from experiments.runs import fairtrial, journal_of, only_run
from experiments.streams import START, Load
from fairtrial.console.interface import Quiet
from fairtrial.controller.budget import bound_in, budget_of
from fairtrial.controller.run import Controller
from fairtrial.errors import NotReadyError, UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.reading import parse
from fairtrial.journal.entries import Effect, Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.store import Journal
from fairtrial.judge.verdict import Decision, Verdict
from fairtrial.planning.budget import bound_of, check_budget
from fairtrial.planning.plan import Plan, plan_of
from fairtrial.replaying import replay
from fairtrial_graphs.backends.interface import ArmEndpoint, Incident, Route, Serving
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
  traffic: {loadTest: {maxDuration: 10m, requests: {data: rows.csv}}}
  metrics: [{name: accuracy, minEffect: 2pp}]
"""
_BUDGET = 60.0


class Killed(BaseException):
    """The process is gone."""


class World:
    """Arms that take `seconds` to be ready, and their load, which ends when its plan says so."""

    outlives_run = False

    def __init__(self, folder: Path, clock: StoppedClock, seconds: float = 20.0) -> None:
        v1, v2 = (Arm(name, f"s3://models/{name}", "SKLEARN_SERVER") for name in ("v1", "v2"))
        (folder / "seldondeployment.yaml").write_text(render(build("wine", [v1, v2])), encoding="utf-8")
        (folder / "rows.csv").write_text("x\n" + "1\n" * 5000, encoding="utf-8")
        self.clock = clock
        self.seconds = seconds
        self.plans: list[LoadPlan] = []

    def apply(self, deployment: SeldonDeployment, route: Route, progress: Callable[[str], None]) -> Serving:
        del deployment, progress
        self.clock.sleep(self.seconds)
        arms = {name: ArmEndpoint(name, "http://127.0.0.1:1", name) for name in ("v1", "v2")}
        return Serving("http://127.0.0.1:1", arms, route.revision)

    def incidents(self) -> Sequence[Incident]:
        return ()

    def release(self) -> None:
        return None

    def close(self) -> None:
        return None


class Sent:
    """A load that is all there at once, and alive until its time on the clock is over, or for ever."""

    returncode, error = 0, ""

    def __init__(self, plan: LoadPlan, clock: StoppedClock, *, stuck: bool) -> None:
        self._plan = plan
        self._clock = clock
        self._stuck = stuck
        self._until = clock.now() + plan.arrivals.max_duration
        self._told = False
        self.stopped = False

    def start(self) -> None:
        table = Load(split=0.0, seconds=600, rows=5000, accuracy=(0.9, 0.92)).table()
        last = np.searchsorted(table.column("time"), START + self._plan.arrivals.max_duration)
        pq.write_table(table.slice(0, int(last)), part_path(self._plan.output, 0))

    @property
    def alive(self) -> bool:
        return not self.stopped and (self._stuck or self._clock.now() < self._until)

    def poll(self) -> Sequence[Path]:
        found = [] if self._told or self.alive else [part_path(self._plan.output, 0)]
        self._told = self._told or bool(found)
        return found

    def incidents(self) -> Sequence[str]:
        return ()

    def stop(self) -> int:
        self.stopped = True
        return 0


class Run:
    """A run with a budget, by as many processes as it takes."""

    def __init__(self, folder: Path, seconds: float = 20.0) -> None:
        self.clock = StoppedClock()
        self.world = World(folder, self.clock, seconds)
        self.folder = RunFolder(folder / "run")
        self.folder.observations.mkdir(parents=True)
        self._home = folder
        self.sent: list[Sent] = []
        self.stuck = False
        Journal.create(self.folder.journal, self.clock).close()

    def plan(self, journal: Journal) -> Plan:
        plan = plan_of(parse(_FILE.encode(), source="e.yaml", folder=self._home))
        bound = bound_in(journal)
        return plan if bound is None else bound.of(plan)

    def go(self, kill_at: Kind | None = None) -> Verdict:
        began = self.clock.now()
        journal = Journal.open(self.folder.journal, self.clock)
        append = journal.append

        def dying(kind: Kind, *args: Any, **details: Any) -> int:
            number = append(kind, *args, **details)
            if kind is kill_at:
                raise Killed
            return number

        journal.append = dying  # type: ignore[method-assign]
        budget = budget_of({"budget": _BUDGET}, began, self.clock)
        controller = Controller(
            self.plan(journal),
            self.folder,
            journal,
            self.world,
            self._load,
            Quiet(),
            self.clock,
            budget=budget,
        )
        try:
            return controller.run()
        finally:
            journal.close()

    def _load(self, plan: LoadPlan) -> Sent:
        self.world.plans.append(plan)
        self.sent.append(Sent(plan, self.clock, stuck=self.stuck))
        return self.sent[-1]


def test_the_load_gets_what_the_arms_have_left_of_the_budget_and_the_verdict_says_so(tmp_path: Path) -> None:
    run = Run(tmp_path)
    began = run.clock.now()
    verdict = run.go()
    (sent,) = run.world.plans
    assert sent.arrivals.max_duration == 60 - 20 - 5 - 5 - 8  # ready, starting, last answers, report
    assert run.clock.now() - began <= _BUDGET + 20  # the end of it by this backend takes 20 s again
    assert verdict.decision is Decision.INCONCLUSIVE
    assert verdict.look == 22
    assert verdict.reasons[-1].startswith("The budget of 1m leaves 22s of load, in which by typical figures")
    assert "a gain of" in verdict.reasons[-1]
    entries = [(e.kind, e.effect) for e in journal_of(run.folder.path) if e.kind is not Kind.LOOK]
    assert entries.index((Kind.BOUND, None)) < entries.index((Kind.INTENDED, Effect.LOAD))
    journal = Journal.open(run.folder.journal, run.clock)
    assert replay(run.folder, journal, run.plan(journal)).same
    journal.close()


def test_what_was_fixed_stays_when_the_run_is_taken_up_by_another_process(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with pytest.raises(Killed):
        run.go(kill_at=Kind.BOUND)
    run.clock.sleep(3600)
    verdict = run.go()
    assert run.world.plans[-1].arrivals.max_duration == 22
    assert verdict.look == 22


def test_a_run_that_is_taken_up_ends_in_its_budget_too(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with pytest.raises(Killed):
        run.go(kill_at=Kind.BOUND)
    run.stuck = True
    run.clock.sleep(3600)
    again = run.clock.now()
    run.go()
    assert run.sent[0].stopped
    assert run.clock.now() - again < _BUDGET - 5 - 8 + 1 + 20


def test_a_load_that_is_held_up_is_ended_and_what_it_recorded_is_judged(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.stuck = True
    began = run.clock.now()
    verdict = run.go()
    assert run.sent[0].stopped
    assert verdict.look == 22
    assert run.clock.now() - began < _BUDGET - 5 - 8 + 1 + 20
    told = [entry.body["message"] for entry in journal_of(run.folder.path) if entry.kind is Kind.INCIDENT]
    assert told == ["the load was held up, and is ended where the budget wants it"]


def test_arms_that_leave_nothing_for_the_load_end_the_run(tmp_path: Path) -> None:
    run = Run(tmp_path, seconds=45.0)
    with pytest.raises(NotReadyError, match="took 45s to be ready, and of the budget of 1m nothing is left"):
        run.go()
    assert not run.world.plans


def test_a_budget_that_nothing_fits_into_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    World(tmp_path, StoppedClock())
    experiment = parse(_FILE.encode(), source="e.yaml", folder=tmp_path)
    check_budget(experiment, 19.0)
    with pytest.raises(UsageError, match="take 19s; say more"):
        check_budget(experiment, 18.0)


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ("  approval: {}\n", "say its timeout"),
        ("  strategy: {blueGreen: {}}\n", "say `keepFor: 0s`"),
        ("  approval: {timeout: 1m}\n", None),
        ("  approval: {required: false}\n", None),
        ("  strategy: {blueGreen: {keepFor: 0s}}\n", None),
    ],
)
def test_what_waits_after_the_verdict_has_no_budget(tmp_path: Path, more: str, wrong: str | None) -> None:
    World(tmp_path, StoppedClock())
    experiment = parse((_FILE + more).encode(), source="e.yaml", folder=tmp_path)
    if wrong is None:
        check_budget(experiment, 60.0)
        return
    with pytest.raises(UsageError, match=wrong):
        check_budget(experiment, 60.0)


_SPIKE = "arrivals: {spike: {base: 50/s, peak: 500/s, at: 90s, for: 10s}}, maxDuration: 2m, "
_STEPPED = "arrivals: {stepped: [{rate: 10/s, for: 60s}, {rate: 50/s, for: 60s}]}, "
_SOAK = "arrivals: {soak: {rate: 50/s, for: 15m, rampUp: 5m}}, "


def _changing(folder: Path, load: str, analysis: str = "{}") -> Experiment:
    World(folder, StoppedClock())
    text = _FILE.replace("maxDuration: 10m, ", load) + f"  analysis: {analysis}\n"
    return parse(text.encode(), source="e.yaml", folder=folder)


@pytest.mark.parametrize(
    ("load", "enough", "why"),
    [
        (_SPIKE, 118, "and the end of the peak is at 1m40s: say more, or a shorter load"),
        (_STEPPED, 79, "and the first look at the last stage is at 1m1s: say more, or a shorter load"),
        (_SOAK, 319, "and the first look after the ramp is at 5m1s: say more, or a shorter load"),
    ],
)
def test_a_budget_cuts_off_no_peak_no_last_stage_and_no_ramp(
    tmp_path: Path, load: str, enough: float, why: str
) -> None:
    experiment = _changing(tmp_path, load)
    check_budget(experiment, enough)
    with pytest.raises(UsageError, match=why):
        check_budget(experiment, enough - 2)
    with pytest.raises(NotReadyError, match=f"the arms took 20s to be ready, and the budget of .* {why}"):
        bound_of(plan_of(experiment), enough, 20.0)
    assert bound_of(plan_of(experiment), enough + 20.0, 20.0).max_duration == enough - 18


def test_a_budget_that_is_all_warm_up_is_refused(tmp_path: Path) -> None:
    experiment = _changing(tmp_path, "", "{warmUp: 40s}")
    check_budget(experiment, 59.0)
    with pytest.raises(UsageError, match="warm-up, the last answers and the report take 59s; say more"):
        check_budget(experiment, 58.0)


@pytest.mark.slow  # a minute: a run that uses its budget up
def test_a_whole_run_is_over_in_its_time(long_project: Path) -> None:
    planned = fairtrial("plan", "--budget", "60s", cwd=long_project)
    assert "The budget of 1m leaves 27s of load" in planned.stdout
    done = fairtrial("run", "--budget", "60s", cwd=long_project)
    assert done.returncode == 11, done.stderr
    run = only_run(long_project)
    entries = journal_of(run)
    assert entries[-1].time - entries[0].time < 60
    assert fairtrial("replay", run, cwd=long_project).returncode == 0
