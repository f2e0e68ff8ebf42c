"""The command ends with its task, and what it said reaches it whole."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest


def command(*line: str, grace: float = 20.0, **env: str):
    from fairtrial_airflow.command import Command

    return Command(line, cwd=None, env=env, grace=grace, log=logging.getLogger("test"))


def test_a_long_document_and_what_was_said_beside_it(caplog: pytest.LogCaptureFixture):
    program = (
        "import json, sys; print(json.dumps({'a': 'x' * 300_000}));"
        "sys.stderr.write('one\\ntwo\\n'); sys.exit(11)"
    )
    caplog.set_level(logging.INFO)
    finished = command(sys.executable, "-c", program).run()
    assert finished.code == 11
    assert len(finished.document["a"]) == 300_000
    assert finished.last_words == "two"
    assert "one" in caplog.messages


@pytest.mark.parametrize("said", ["", "[1]", "no JSON"])
def test_what_is_no_document_is_none(said: str):
    assert command("echo", said).run().document == {}


def test_a_command_that_is_not_there_is_told():
    with pytest.raises(FileNotFoundError):
        command("no-such-command").run()


_SLEEPS = "print('x', file=sys.stderr, flush=True); time.sleep(60)"


@pytest.mark.parametrize(
    ("program", "code"),
    [
        (f"import sys, time; {_SLEEPS}", -signal.SIGTERM),
        (
            f"import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {_SLEEPS}",
            -signal.SIGKILL,
        ),
    ],
    ids=["in order", "killed, since it does not listen"],
)
def test_stopping_ends_it(program: str, code: int, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    running = command(sys.executable, "-c", program, grace=0.3)
    ended: list[int] = []
    thread = threading.Thread(target=lambda: ended.append(running.run().code))
    thread.start()
    while "x" not in caplog.messages:
        time.sleep(0.01)
    running.stop()
    running.stop()
    thread.join(20)
    assert ended == [code]


def test_stopping_it_before_it_has_begun_ends_it_at_once():
    running = command("sleep", "60")
    running.stop()
    assert running.run().code == -signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_a_worker_that_is_killed_outright_takes_it_with_it(tmp_path: Path):
    pid_file = tmp_path / "pid"
    worker = (
        "import logging; from fairtrial_airflow.command import Command;"
        f"Command(['sh', '-c', 'echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; exec sleep 60'], "
        "cwd=None, env={}, grace=5, log=logging.getLogger()).run()"
    )
    process = subprocess.Popen([sys.executable, "-c", worker])
    deadline = time.monotonic() + 30
    while not pid_file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    pid = int(pid_file.read_text())
    while _runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return "sleep" in Path(f"/proc/{pid}/cmdline").read_text() and os.getpgid(pid) > 0
    except OSError:
        return False
