"""Whatever happens to the controller, nothing that it started outlives it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from fairtrial_graphs.backends.interface import NotReady, Route
from fairtrial_graphs.backends.local import LocalBackend
from fairtrial_graphs.backends.local.process import GuardedProcess
from fairtrial_graphs.build import Arm, build
from graphs.processes import await_end, descendants, has_ended, started_since, until
from graphs.standin import launcher

CONTROLLER = Path(__file__).with_name("controller.py")


@contextmanager
def controller(
    folder: Path, **parameters: str
) -> Iterator[tuple["subprocess.Popen[bytes]", list[psutil.Process]]]:
    """A controller that serves, and all its descendants."""
    command = [sys.executable, str(CONTROLLER), str(folder), json.dumps(parameters)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        started: list[psutil.Process] = []
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"http://127.0.0.1:")
            started = descendants(process.pid)
            assert len(started) == 6  # Envoy and two models, a guard for each
            yield process, started
        finally:
            process.kill()
            for left in started:
                if not has_ended(left):
                    left.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_ends_the_controller_leaves_no_process(tmp_path: Path, number: signal.Signals):
    with controller(tmp_path) as (process, started):
        process.send_signal(number)
        process.wait(10)
        await_end(started, 15)


def test_models_that_ignore_sigterm_end_after_the_grace(tmp_path: Path):
    with controller(tmp_path, stubborn="yes") as (process, started):
        process.kill()
        await_end(started, 15)


def test_ctrl_c_in_the_terminal_reaches_only_the_controller(tmp_path: Path):
    with controller(tmp_path) as (process, started):
        groups = {os.getpgid(child.pid) for child in started}
        assert os.getpgid(process.pid) not in groups


def test_a_stopped_controller_keeps_its_children(tmp_path: Path):
    with controller(tmp_path) as (process, started):
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)  # longer than a guard goes without looking
        assert not any(map(has_ended, started))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_the_command_of_a_killed_guard_ends_at_once(tmp_path: Path):
    process = GuardedProcess(["sleep", "60"], env={}, folder=tmp_path, log=tmp_path / "log")
    command = psutil.Process(process.pid)
    until(lambda: command.name() == "sleep", 15, "start of the command")
    psutil.Process(command.ppid()).kill()
    await_end([command], 10)
    process.stop()


def test_close_is_quick_and_can_be_repeated(tmp_path: Path):
    before = descendants(os.getpid())
    backend = LocalBackend(tmp_path, launcher)
    backend.apply(build("d", [Arm("v1", "m", "I"), Arm("v2", "m", "I")]), Route("r"), lambda _: None)
    started = started_since(before)
    begun = time.monotonic()
    backend.close()
    assert time.monotonic() - begun < 4  # the grace of each, one after the other
    backend.close()
    assert all(map(has_ended, started))
    with pytest.raises(NotReady, match="closed"):
        backend.apply(build("d", [Arm("v1", "m", "I")]), Route("r"), lambda _: None)


def test_close_without_apply_does_nothing(tmp_path: Path):
    LocalBackend(tmp_path, launcher).close()


def test_what_a_command_started_itself_ends_with_it(tmp_path: Path):
    script = "sleep 60 & sleep 60 & echo $!; wait"
    process = GuardedProcess(["sh", "-c", script], env={}, folder=tmp_path, log=tmp_path / "log")
    shell = psutil.Process(process.pid)
    until(lambda: len(shell.children()) == 2, 15, "both sleeps")
    family = [shell, *shell.children()]
    process.stop()
    await_end(family, 10)


def test_a_command_that_ends_by_itself_takes_its_children_along(tmp_path: Path):
    process = GuardedProcess(["sh", "-c", "sleep 60 & exit 7"], env={}, folder=tmp_path, log=tmp_path / "log")
    until(lambda: process.exit_code() is not None, 15, "end of the shell")
    assert process.describe_exit() == "ended with exit code 7"
    sleeps = [p for p in psutil.process_iter() if not has_ended(p) and os_group(p) == process.pid]
    process.stop()
    assert sleeps == []


def os_group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None


def test_a_command_that_does_not_exist_says_so(tmp_path: Path):
    process = GuardedProcess(["no-such-command"], env={}, folder=tmp_path, log=tmp_path / "log")
    until(lambda: process.exit_code() is not None, 15, "end of the guard")
    assert process.describe_exit() == "ended with exit code 127"
    assert "no-such-command did not start" in process.last_words()
    process.stop()
