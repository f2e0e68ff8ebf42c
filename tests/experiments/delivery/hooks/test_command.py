"""A retraining that is a program here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from experiments.delivery.hooks.events import EVENT, TOLD, never
from fairtrial.delivery.hooks.command import Command
from fairtrial.errors import AbortedError, NotReadyError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    return made


def command(folder: Path, *run: str, timeout: float = 60.0) -> Command:
    return Command(run, timeout, folder=folder, logs=folder.parent / "own" / "retraining")


def python(folder: Path, code: str, timeout: float = 60.0) -> Command:
    return command(folder, sys.executable, "-c", code, timeout=timeout)


_TELL = """
import json, os, sys
print("trained")
told = {"cwd": os.getcwd(), "key": os.environ["FAIRTRIAL_EVENT"], "stdin": json.load(sys.stdin)}
open("told.json", "a").write(json.dumps(told))
"""


def test_it_runs_in_the_file_s_folder_and_is_told_the_event(folder: Path):
    said = python(folder, _TELL).start(EVENT, never)
    told = json.loads((folder / "told.json").read_text())
    assert told == {"cwd": str(folder), "key": EVENT.key, "stdin": TOLD}
    log = Path(said.rpartition("see ")[2])
    assert said == f"{sys.executable} ended well; see {log}"
    assert log.read_text() == "trained\n"


def test_there_is_no_shell(folder: Path):
    command(folder, "touch", "a; touch b", "$HOME").start(EVENT, never)
    assert sorted(path.name for path in folder.iterdir()) == ["$HOME", "a; touch b"]


def test_one_that_has_run_to_its_end_is_not_run_again_for_the_same_event(folder: Path):
    python(folder, _TELL).start(EVENT, never)
    assert "has run for this event already" in python(folder, _TELL).start(EVENT, never)
    assert (folder / "told.json").read_text().count(EVENT.key) == 2, "once in the environment, once on stdin"


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        ("print('an Error'); raise SystemExit(3)", UsageError, "retraining ended with exit code 3: an Error"),
        ("raise ValueError('no data')", UsageError, "ended with exit code 1: ValueError: no data"),
        ("raise SystemExit(75)", NotReadyError, "ended with exit code 75"),
        ("import os; os.kill(os.getpid(), 9)", NotReadyError, "was killed by SIGKILL"),
    ],
)  # fmt: skip
def test_its_failure_is_a_sentence_and_says_whether_it_may_pass(
    folder: Path, code: str, error: type[Exception], said: str
):
    with pytest.raises(error, match=said):
        python(folder, code).start(EVENT, never)
    python(folder, "pass").start(EVENT, never)  # it may be run again


def test_a_program_that_is_not_there_is_told(folder: Path):
    with pytest.raises(UsageError, match="ended with exit code 127: no-such did not start: No such file"):
        command(folder, "no-such").start(EVENT, never)
    with pytest.raises(NotReadyError, match="the command a cannot be started: No such file"):
        command(folder / "gone", "a").start(EVENT, never)
    with pytest.raises(NotReadyError, match="the command a\0b cannot be started: embedded null byte"):
        command(folder, "a\0b").start(EVENT, never)


_CHILD = (
    "import subprocess, sys, time; print(subprocess.Popen(['sleep', '50']).pid, flush=True); time.sleep(50)"
)


def test_one_that_takes_too_long_is_ended_with_all_it_started(folder: Path):
    with pytest.raises(UsageError, match=r"was ended after 2s, its timeout; see .*\.log"):
        python(folder, _CHILD, timeout=2.0).start(EVENT, never)
    (log,) = (folder.parent / "own" / "retraining").glob("*.log")
    assert gone(int(log.read_text()))


def test_what_is_more_urgent_does_not_wait_for_it_and_it_is_begun_anew(folder: Path):
    (logs := folder.parent / "own" / "retraining").mkdir(parents=True)

    def something_urgent() -> bool:
        return any(log.stat().st_size for log in logs.glob("*.log"))

    with pytest.raises(AbortedError, match="was ended for what is more urgent"):
        python(folder, _CHILD).start(EVENT, something_urgent)
    (log,) = logs.glob("*.log")
    assert gone(int(log.read_text()))
    assert "ended well" in python(folder, "pass").start(EVENT, never)


_WATCH = """
import sys
from pathlib import Path
from experiments.delivery.hooks.events import EVENT, never
from experiments.delivery.hooks.test_command import python
python(Path(sys.argv[1]), sys.argv[2]).start(EVENT, never)
"""


def test_it_ends_with_the_watch_and_is_begun_again_by_the_next(folder: Path):
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen([sys.executable, "-c", _WATCH, str(folder), _CHILD], env=env) as watch:
        logs = folder.parent / "own" / "retraining"
        deadline = time.monotonic() + 60
        while not any(log.stat().st_size for log in logs.glob("*.log")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (log,) = logs.glob("*.log")
        child = int(log.read_text())
        assert not gone(child, within=0)
        watch.send_signal(signal.SIGKILL)
    assert gone(child)
    assert "ended well" in python(folder, _TELL).start(EVENT, never)
    assert (folder / "told.json").is_file()


def gone(pid: int, within: float = 10.0) -> bool:
    deadline = time.monotonic() + within
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True
