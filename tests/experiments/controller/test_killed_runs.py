"""The controller is killed with SIGKILL at each of its journal entries, and resumed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from experiments.runs import assert_no_orphans, fairtrial, journal_of, observations, only_run
from fairtrial.clock import SystemClock
from fairtrial.journal.entries import Effect, Kind
from fairtrial.journal.folder import new_run
from fairtrial.journal.store import Journal

_KILLED = Path(__file__).with_name("killed.py")


def _run_killed_at(number: int, when: str, project: Path) -> int:
    return subprocess.run(
        [sys.executable, str(_KILLED), str(number), when, "run", "experiment.yaml"],
        cwd=project,
        capture_output=True,
        timeout=110,
        check=False,
    ).returncode


def _assert_resumes_to_its_end(project: Path) -> None:
    run = only_run(project)
    assert_no_orphans(run)

    resumed = fairtrial("resume", run, cwd=project)

    assert resumed.returncode == 0, resumed.stderr
    assert_no_orphans(run)
    verdict = json.loads((run / "verdict.json").read_text())
    assert verdict["verdict"] == "PROMOTE"
    _assert_nothing_was_counted_twice(run, verdict)
    entries = journal_of(run)
    effects = Counter(entry.effect for entry in entries if entry.kind is Kind.DONE)
    assert effects[Effect.PROMOTE] == 1
    assert entries[-1].kind is Kind.ENDED
    replayed = fairtrial("replay", run, cwd=project)
    assert replayed.returncode == 0, replayed.stdout
    # Uninterrupted, on the same observations.
    judged = fairtrial("judge", "--data", run / "observations", "--output", "json", cwd=project)
    assert json.loads(judged.stdout)["metrics"] == verdict["metrics"]


def _assert_nothing_was_counted_twice(run: Path, verdict: dict) -> None:
    seen = observations(run)
    assert seen.num_rows > 0
    assert len(set(seen.column("id").to_pylist())) == seen.num_rows
    looks = [entry.body["look"] for entry in journal_of(run) if entry.kind is Kind.LOOK]
    assert looks == list(range(1, len(looks) + 1))
    pairs = seen.filter(seen.column("pair").is_valid())
    judged_pairs = verdict["metrics"][0]["n"]["pairs"]
    assert judged_pairs <= len(set(pairs.column("row").to_pylist()))


def test_a_run_killed_while_it_judges_comes_to_its_verdict(quick_project: Path):
    assert _run_killed_at(7, "after", quick_project) == -signal.SIGKILL
    _assert_resumes_to_its_end(quick_project)


def test_a_run_that_died_before_its_first_entry_says_so(quick_project: Path):
    folder = new_run(quick_project / "runs", "quick", SystemClock())
    Journal.create(folder.journal, SystemClock()).close()
    resumed = fairtrial("resume", cwd=quick_project)
    assert resumed.returncode == 2
    assert "died before it began" in resumed.stderr


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("when", "least"), [("unjournalled", 5), ("after", 12)])
def test_a_run_killed_at_any_entry_comes_to_its_verdict(quick_project: Path, when: str, least: int):
    def was_killed_at(number: int) -> bool:
        project = quick_project.with_name(f"{quick_project.name}-{number}")
        shutil.copytree(quick_project, project)
        code = _run_killed_at(number, when, project)
        if code == 0:
            return False  # it ended before so many entries
        assert code == -signal.SIGKILL
        _assert_resumes_to_its_end(project)
        return True

    killed = 0
    with ThreadPoolExecutor(2) as pool:
        while all(went_on := list(pool.map(was_killed_at, (killed + 1, killed + 2)))):
            killed += 2
    assert killed + sum(went_on) >= least, "a run has that many steps at the least"
