"""What is left where a run cannot go on, on a backend that only notes down what it serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from experiments.controller.test_exchange import Run, World
from fairtrial.console.interface import Quiet
from fairtrial.controller.effects import effect
from fairtrial.controller.retreat import retreating
from fairtrial.controller.run import Controller
from fairtrial.errors import FairtrialError, NotReadyError, UsageError
from fairtrial.journal.entries import Effect
from fairtrial.journal.store import Journal


class Cluster(World):
    outlives_run = True


@pytest.fixture
def run(tmp_path: Any) -> Run:
    run = Run(tmp_path)
    run.world = Cluster(run.clock)
    return run


@pytest.fixture
def journal(run: Run) -> Iterator[Journal]:
    journal = Journal.open(run.folder.journal, run.clock)
    yield journal
    journal.close()


def _fail(run: Run, journal: Journal, error: FairtrialError) -> list[dict[str, int]]:
    """What is served after the run failed so."""
    controller = Controller(run.plan, run.folder, journal, run.world, _no_load, Quiet(), run.clock)
    with (
        pytest.raises(type(error)),
        retreating(controller, "v1", run.world, journal, Quiet()),
    ):
        raise error
    return [served for _, served in run.world.served]


def _no_load(_: object) -> Any:
    raise AssertionError("nothing is sent")


@pytest.mark.parametrize("error", [UsageError("no users in it"), NotReadyError("v2 is not ready", arm="v2")])
def test_arms_that_cannot_be_tried_do_not_stay_on_a_cluster(
    run: Run, journal: Journal, error: FairtrialError
) -> None:
    with effect(journal, Effect.DEPLOY):
        pass
    assert _fail(run, journal, error) == [{"v1": 100}]


@pytest.mark.parametrize(
    ("done", "error"),
    [
        ((), UsageError("no such file")),
        ((Effect.DEPLOY,), NotReadyError("v1 is not ready", arm="v1")),
        ((Effect.DEPLOY, Effect.PROMOTE), NotReadyError("the registry is away")),
        ((Effect.DEPLOY, Effect.PROMOTE), UsageError("it cannot be registered")),
    ],
    ids=["nothing was deployed", "the baseline is not ready", "promoted", "promoted by hand"],
)
def test_nothing_is_taken_back_that_was_not_tried_or_has_won(
    run: Run, journal: Journal, done: tuple[Effect, ...], error: FairtrialError
) -> None:
    for what in done:
        with effect(journal, what):
            pass
    assert _fail(run, journal, error) == []
