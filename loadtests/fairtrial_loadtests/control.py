"""What ends a load from outside: a line on stdin, a signal, or the death of the controller."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import NoReturn

import gevent
from gevent.socket import wait_read

from fairtrial_loadtests.errors import ExitCode

_STDIN = 0


def obey_controller(stop: Callable[[str], None]) -> None:
    """From now on `stop(reason)` is called for a line `stop` on stdin and for SIGTERM.

    If stdin is closed, the controller is gone and the process ends at once. (PR_SET_PDEATHSIG would not
    do: it goes off when the *thread* that started the process ends.)
    """
    gevent.signal_handler(signal.SIGTERM, stop, "SIGTERM")
    gevent.spawn(_read_stdin, stop)


def _read_stdin(stop: Callable[[str], None]) -> None:
    line = b""
    while True:
        wait_read(_STDIN)
        read = os.read(_STDIN, 1024)
        if not read:
            _leave("stdin was closed")
        line = (line + read)[-1024:]
        if b"stop" in line.split(b"\n")[:-1]:
            stop("stop")


def leave_if_orphaned(parent: int) -> None:
    """End at once if `parent` is no longer this process's parent.

    Its death closes stdin too, unless another of its children holds the other end.
    """
    if os.getppid() != parent:
        _leave("the process that started it has ended")


def _leave(why: str) -> NoReturn:
    os.write(2, f"The load ends unfinished: {why}.\n".encode())
    os._exit(ExitCode.FAILED)
