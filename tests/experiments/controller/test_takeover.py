"""Who asks for the end between the verdict and the promotion, while the run is down, gets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from experiments.controller.test_exchange import Fuse, Killed, Run
from fairtrial.experiment.reading import parse
from fairtrial.journal.entries import Effect, Kind
from fairtrial.journal.store import Journal
from fairtrial.planning.plan import plan_of

_AT_ONCE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
spec:
  deployment: seldondeployment.yaml
  baseline: {name: v1}
  candidates: [{name: v2}]
  traffic: {loadTest: {requests: {data: rows.csv}}}
  metrics: [{name: accuracy}]
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path)
    run.plan = plan_of(parse(_AT_ONCE.encode(), source="e.yaml", folder=tmp_path))
    return run


def _killed_at(run: Run, kind: Kind, effect: Effect | None = None) -> None:
    """Have it killed right after it wrote this entry."""
    (run.folder.path / "twin").mkdir()
    twin = Run(run.folder.path / "twin")
    twin.plan = run.plan
    twin.go_on()
    journal = Journal.open(twin.folder.journal, twin.clock)
    entries = journal.entries()
    journal.close()
    number = next(n for n, e in enumerate(entries, 1) if e.kind is kind and e.effect is effect)
    with pytest.raises(Killed):
        run.go_on(Fuse(number))


def test_an_abort_after_the_verdict_is_heeded(run: Run) -> None:
    _killed_at(run, Kind.VERDICT)
    run.ask_to_abort()
    assert run.go_on() == "aborted"
    assert [served for _, served in run.world.served] == [{"v1": 100}]
    assert [effect for effect, _ in run.done()] == [Effect.ROLLBACK]


def test_a_promotion_that_was_under_way_goes_on_to_its_end(run: Run) -> None:
    _killed_at(run, Kind.INTENDED, Effect.PROMOTE)
    run.ask_to_abort()
    assert run.go_on() == "PROMOTE"
    assert [served for _, served in run.world.served] == [{"v2": 100}]
