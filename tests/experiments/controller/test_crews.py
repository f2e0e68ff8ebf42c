"""Whoever sends the load, the run is the same: one process or several, here or elsewhere."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from experiments.runs import assert_no_orphans, fairtrial, journal_of, observations, only_run
from fairtrial.cli.crew import crew_of
from fairtrial.errors import UsageError
from fairtrial.history import notes_of_load
from fairtrial.journal.entries import Kind
from fairtrial.journal.folder import RunFolder
from fairtrial_loadtests.crew import TOKEN, Address, Crew

_KILLED = Path(__file__).with_name("killed.py")


@pytest.mark.slow  # most of a minute: a run that is killed, resumed, replayed
def test_a_run_that_one_process_loaded_is_finished_by_two_with_nothing_lost_or_doubled(quick_project: Path):
    killed = subprocess.run(
        [sys.executable, str(_KILLED), "7", "after", "run", "experiment.yaml", "--workers", "1"],
        cwd=quick_project,
        capture_output=True,
        timeout=110,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    run = only_run(quick_project)
    assert_no_orphans(run)

    resumed = fairtrial("resume", run, "--workers", "2", cwd=quick_project)

    assert resumed.returncode == 0, resumed.stderr
    assert_no_orphans(run)
    seen = observations(run)
    ids = seen.column("id").to_pylist()
    assert len(set(ids)) == len(ids)
    arrivals = {int(each.partition("-")[0]) for each in ids}
    assert arrivals == set(range(len(arrivals)))
    looks = [entry.body["look"] for entry in journal_of(run) if entry.kind is Kind.LOOK]
    assert looks == list(range(1, len(looks) + 1))
    assert json.loads((run / "observations" / "load.json").read_text())["workers"] == 2
    verdict = json.loads((run / "verdict.json").read_text())
    judged = fairtrial("judge", "--data", run / "observations", "--output", "json", cwd=quick_project)
    assert json.loads(judged.stdout)["metrics"] == verdict["metrics"]
    assert fairtrial("replay", run, cwd=quick_project).returncode == 0


@pytest.mark.slow  # half a minute: a run of its own
def test_a_run_is_loaded_by_a_worker_that_comes_to_it_and_ends_with_it(quick_project: Path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        where = f"127.0.0.1:{free.getsockname()[1]}"
    worker = subprocess.Popen(
        [sys.executable, "-m", "fairtrial", "load-worker", "--master", where, "--name", "elsewhere"],
        cwd=quick_project.parent,  # it has no file of the project
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        run = fairtrial("run", "--expect-workers", "1", "--bind", where, cwd=quick_project)
        assert run.returncode == 0, run.stderr
        _, said = worker.communicate(timeout=30)
        assert (worker.returncode, said) == (0, "")
    finally:
        worker.kill()
        worker.communicate()
    incidents = [e.body["message"] for e in journal_of(only_run(quick_project)) if e.kind is Kind.INCIDENT]
    assert f"the load waits for 1 worker: `fairtrial load-worker --master {where}`" in incidents


def test_the_verdict_says_that_its_load_fell_behind(tmp_path: Path):
    folder = RunFolder(tmp_path)
    assert notes_of_load(folder) == []
    folder.observations.mkdir()
    for behind, notes in ((None, []), ("The load fell behind.", ["The load fell behind."])):
        (folder.observations / "load.json").write_text(json.dumps({"behind": behind}))
        assert notes_of_load(folder) == notes


def test_what_is_said_of_those_who_send_makes_sense_or_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(TOKEN, raising=False)
    assert crew_of(None, None, None) == Crew(1)
    assert crew_of(3, None, None) == Crew(3)
    assert crew_of(None, 2, "[::1]:5557") == Crew(2, Address("::1", 5557))
    for said, message in [
        ((2, 2, "127.0.0.1:5557"), "say one of them"),
        ((None, 2, None), "need one another"),
        ((None, None, "127.0.0.1:5557"), "need one another"),
        ((None, 2, "127.0.0.1"), "give HOST:PORT"),
        ((None, 2, "127.0.0.1:70000"), "give HOST:PORT"),
        ((None, 2, "10.0.0.7:5557"), TOKEN),
    ]:
        with pytest.raises(UsageError, match=message):
            crew_of(*said)
    monkeypatch.setenv(TOKEN, "open sesame")
    assert crew_of(None, 2, "10.0.0.7:5557") == Crew(2, Address("10.0.0.7", 5557))


@pytest.mark.parametrize(
    ("master", "said"), [("nowhere", "give HOST:PORT"), ("10.0.0.7:5557", f"{TOKEN} is not set")]
)
def test_a_worker_that_cannot_go_anywhere_says_so(tmp_path: Path, master: str, said: str):
    ended = subprocess.run(
        [sys.executable, "-m", "fairtrial", "load-worker", "--master", master],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != TOKEN},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert said in ended.stderr
