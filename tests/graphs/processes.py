"""Looking at processes from outside: which there are, and whether they have ended."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import psutil


def until(condition: Callable[[], bool], timeout: float, what: str) -> None:
    """Poll until the condition holds; fail the test at the deadline."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        time.sleep(0.01)


def descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def started_since(before: list[psutil.Process]) -> list[psutil.Process]:
    """Children of this process that were not there before: other tests' servers may be."""
    return [process for process in descendants(os.getpid()) if process not in before]


def called(processes: list[psutil.Process], word: str) -> psutil.Process:
    """The one process with this word in its command line, guards left out."""
    found = [
        process
        for process in processes
        if any(word in part for part in process.cmdline())
        and not any(part.endswith("guard.py") for part in process.cmdline())
    ]
    assert len(found) == 1, [process.cmdline() for process in found]
    return found[0]


def has_ended(process: psutil.Process) -> bool:
    """Whether it is gone. A zombie that its adopter has yet to collect is gone, too."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def await_end(processes: list[psutil.Process], timeout: float) -> None:
    until(lambda: all(map(has_ended, processes)), timeout, f"end of {processes}")
