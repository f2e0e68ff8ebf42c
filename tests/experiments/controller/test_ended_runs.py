"""Runs that somebody or something ends, and runs in which something dies: no orphan, no lost word."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from experiments.runs import (
    FAIRTRIAL,
    assert_no_orphans,
    fairtrial,
    journal_of,
    kinds,
    only_run,
    processes_of,
)
from fairtrial.errors import UsageError
from fairtrial.journal.entries import Effect, Kind


@contextmanager
def _running(project: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*FAIRTRIAL, "run", "experiment.yaml", *options],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _until(holds: Callable[[], bool], process: subprocess.Popen[str], within: float = 60) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.05)


def _looked(project: Path) -> bool:
    try:
        return kinds(only_run(project))[Kind.LOOK] > 0
    except (OSError, ValueError, UsageError):  # it has only just begun
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupted_run_shuts_everything_down_and_can_be_resumed(
    long_project: Path, number: signal.Signals
):
    with _running(long_project) as process:
        _until(lambda: _looked(long_project), process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 130, errors
    run = only_run(long_project)
    assert "fairtrial resume" in errors
    assert "Traceback" not in errors
    assert_no_orphans(run, within=1)
    assert journal_of(run)[-1].kind is Kind.INTERRUPTED


def test_an_aborted_run_returns_to_the_baseline(long_project: Path):
    with _running(long_project) as process:
        _until(lambda: _looked(long_project), process)
        asked = fairtrial("abort", cwd=long_project)
        assert asked.returncode == 0, asked.stderr
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 12, errors
    run = only_run(long_project)
    assert_no_orphans(run, within=1)
    done = [entry.effect for entry in journal_of(run) if entry.kind is Kind.DONE]
    assert done[-2:] == [Effect.ROLLBACK, Effect.CLOSE]


def test_a_run_that_is_being_worked_on_is_not_taken_up_by_another(long_project: Path):
    with _running(long_project) as process:
        _until(lambda: _looked(long_project), process)
        second = fairtrial("resume", cwd=long_project)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert second.returncode == 2
    assert f"worked on by process {process.pid}" in second.stderr


def test_a_run_outlives_the_death_of_its_proxy_and_of_its_load(quick_project: Path):
    file = quick_project / "experiment.yaml"  # it must not be decided before they die
    file.write_text(file.read_text().replace("lookInterval: 500ms", "lookInterval: 500ms, fullCycle: 8s"))
    with _running(quick_project) as process:
        _until(lambda: _looked(quick_project), process)
        run = only_run(quick_project)
        os.kill(_process_called("envoy", run), signal.SIGKILL)
        os.kill(_process_called("fairtrial_loadtests.worker", run), signal.SIGKILL)
        _, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
    assert_no_orphans(run)
    assert kinds(run)[Kind.INCIDENT] >= 2
    assert json.loads((run / "verdict.json").read_text())["verdict"] == "PROMOTE"


def test_a_port_in_use_is_told_before_anything_is_sent(quick_project: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = fairtrial("run", "experiment.yaml", "--port", port, cwd=quick_project)
    assert result.returncode == 3
    assert f"port {port} is in use" in result.stderr
    assert "Traceback" not in result.stderr
    assert_no_orphans(only_run(quick_project))


def test_a_model_that_cannot_be_loaded_is_told_by_name(quick_project: Path):
    (quick_project / "models" / "v2" / "model.joblib").write_bytes(b"this is no model")
    result = fairtrial("run", "experiment.yaml", cwd=quick_project)
    assert result.returncode == 3
    assert "v2" in result.stderr
    assert "Traceback" not in result.stderr
    assert_no_orphans(only_run(quick_project))


def test_data_changed_since_a_run_was_cut_off_is_not_resumed(long_project: Path):
    with _running(long_project) as process:
        _until(lambda: _looked(long_project), process)
        process.kill()
        process.communicate()
    with (long_project / "holdout.parquet").open("ab") as data:
        data.write(b"more")
    resumed = fairtrial("resume", cwd=long_project)
    assert resumed.returncode == 2
    assert "has changed since" in resumed.stderr
    assert_no_orphans(only_run(long_project))


def test_the_outcome_is_served_until_interrupted_when_asked_for(quick_project: Path):
    with _running(quick_project, "--keep-serving") as process:
        _until((quick_project / "runs").is_dir, process)
        run = only_run(quick_project)
        _until((run / "verdict.json").exists, process)
        _until((run / "report.html").exists, process)
        assert process.stderr is not None
        url = ""
        while "serving at" not in url:
            url = process.stderr.readline()
        import httpx

        answer = httpx.get(url.partition("serving at ")[2].split()[0] + "/v2/health/ready", timeout=10)
        assert answer.status_code == 200
        assert answer.headers["x-fairtrial-arm"] == "v2"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert_no_orphans(run, within=1)


def _process_called(name: str, run: Path) -> int:
    """The process of a run that runs this program itself, not the guard above it."""
    for pid in processes_of(run):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if name in " ".join(command) and "guard.py" not in " ".join(command):
            return pid
    raise AssertionError(f"no {name} among the processes of the run")
