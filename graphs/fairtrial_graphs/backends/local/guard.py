"""Runs one command and sees to it that the command does not outlive the process that asked for it.

Started as `python -I -S guard.py GRACE PARENT INPUT COMMAND...` with a pipe from PARENT (a process id) as
standard input and another to it as standard output. The first pipe closes when PARENT ends, however it ends,
SIGKILL included: then the command's process group gets SIGTERM, and SIGKILL after GRACE seconds. The second
carries the command's process id. The command's own standard input is the file INPUT. What it prints goes to
the guard's standard error.

Standard library only, and little of it: it must start in milliseconds.
"""

import ctypes
import os
import select
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run the command; the result is its exit code, 128 + N if signal N ended it, 127 if it did not start."""
    grace, parent, given, command = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    told_to_stop: list[int] = []
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for stop in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(stop, lambda number, _: told_to_stop.append(number))
    child = _start(command, given)
    os.write(1, f"{child}\n".encode())
    while (code := _exit_code(child)) is None:
        # The parent's death shows as end of file, unless a forked copy of it holds the pipe: hence the look.
        readable, _, _ = select.select([0, woken], [], [], 1.0)
        if woken in readable:
            os.read(woken, 512)
        if told_to_stop or os.getppid() != parent or (0 in readable and not os.read(0, 512)):
            code = _terminate(child, grace)
            break
    _signal_group(child, signal.SIGKILL)  # what the command itself left behind
    return code


def _start(command: list[str], given: str) -> int:
    """Start the command in a session of its own; its process id."""
    guard = os.getpid()
    libc = ctypes.CDLL(None)
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard:
            os._exit(127)
        for number in (signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(given, os.O_RDONLY), 0)
        os.dup2(2, 1)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]} did not start: {error.strerror}\n".encode())
    os._exit(127)


def _exit_code(child: int) -> int | None:
    """None while the child runs. Once only: afterwards its process id is no longer its own."""
    ended, status = os.waitpid(child, os.WNOHANG)
    if not ended:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _terminate(child: int, grace: float) -> int:
    _signal_group(child, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while (code := _exit_code(child)) is None:
        if time.monotonic() > deadline:
            _signal_group(child, signal.SIGKILL)
        time.sleep(0.01)
    return code


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return  # the group is empty; macOS says EPERM of a group of zombies


if __name__ == "__main__":
    sys.exit(main())
