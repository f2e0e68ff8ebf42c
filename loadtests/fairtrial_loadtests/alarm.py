"""Waking a greenlet at a moment, to the tenth of a millisecond.

gevent's loop sleeps in epoll, which counts in whole milliseconds and rounds up: a schedule kept with
`gevent.sleep` is late by half a millisecond on average, which every latency would then contain. Linux
can hand the loop a clock as a file descriptor instead (timerfd). Elsewhere the loop is precise already.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from typing import Protocol

from gevent.event import Event
from gevent.hub import get_hub

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_READABLE = 1


class Alarm(Protocol):
    def wait_until(self, moment: float) -> None:
        """Let other greenlets run until `time.monotonic()` is `moment`, or someone rings."""
        ...

    def ring(self) -> None:
        """End the wait that is going on, or else the next."""
        ...

    def close(self) -> None: ...


def new_alarm() -> Alarm:
    """The most precise alarm that this system has."""
    if sys.platform == "linux":
        return _TimerFd()
    return _Sleep()


class _Sleep:
    def __init__(self) -> None:
        self._rung = Event()

    def wait_until(self, moment: float) -> None:
        self._rung.wait(max(moment - time.monotonic(), 0.0))
        self._rung.clear()

    def ring(self) -> None:
        self._rung.set()

    def close(self) -> None:
        pass


class _TimeSpec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _TimerSpec(ctypes.Structure):
    _fields_ = [("interval", _TimeSpec), ("value", _TimeSpec)]


class _TimerFd:
    """timerfd by way of libc; Python has it from 3.13 on."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._hub = get_hub()
        self._readable = self._hub.loop.io(self._fd, _READABLE)
        self._spec = _TimerSpec()

        self._rung = False

    def wait_until(self, moment: float) -> None:
        if not self._rung:
            self._set(moment)
            self._hub.wait(self._readable)  # stays readable until it is set again
        self._rung = False

    def ring(self) -> None:
        self._rung = True
        self._set(time.monotonic())

    def close(self) -> None:
        self._readable.close()
        os.close(self._fd)

    def _set(self, moment: float) -> None:
        value = self._spec.value
        # A moment of zero would switch the timer off; one that has passed goes off at once.
        value.seconds, value.nanoseconds = divmod(max(int(moment * 1e9), 1), 1_000_000_000)
        if self._libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(self._spec), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")
