"""A pipeline's trial that waits for its window waits for nothing that is more urgent."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from experiments.clocks import StoppedClock
from experiments.delivery.conftest import EXPERIMENT, OLD_SQL, Models
from experiments.delivery.watches import Watched, pipeline_of
from fairtrial.delivery import trial
from fairtrial.delivery.pinning import Pinned
from fairtrial.errors import AbortedError
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


def test_a_trial_that_waits_to_begin_is_cut_off_and_nothing_was_deployed(wine: Models, tmp_path: Path):
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(wine.trained / "holdout.parquet", project)
    (project / "experiment.yaml").write_text(EXPERIMENT.replace("MODEL", "wine") + _FREEZE)
    watched = Watched(pipeline_of(project, wine.url))
    baseline, candidate = (Pinned(n, str(wine.trained / "models" / f"v{n}")) for n in "12")
    runs = tmp_path / "runs"

    def urgent() -> bool:
        return any(
            Kind.AWAITS_WINDOW in kinds(RunFolder(found.parent)) for found in runs.glob("*/journal.db")
        )

    with pytest.raises(AbortedError, match="was aborted on request"):
        trial.tried(watched.means, runs, baseline, candidate, urgent)
    watched.state.close()
    (folder,) = (RunFolder(found.parent) for found in runs.glob("*/journal.db"))
    journal = Journal.open(folder.journal, watched.clock)
    assert {entry.effect.value for entry in journal.entries(Kind.INTENDED) if entry.effect} == {"close"}
    assert journal.entries()[-1].body == {"aborted": True}
    journal.close()
    (told,) = [line for line in watched.said if "waits" in line]
    assert "the trial waits to begin: the freeze of spec.schedule ends Thu 2026-01-01 00:00 UTC" in told


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
