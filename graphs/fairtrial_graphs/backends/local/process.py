"""A child process under a guard, so that it ends when this process does, however that happens."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_GUARD = Path(__file__).with_name("guard.py")
_TROUBLE = re.compile(r"\b\w*(Error|Exception|error|critical|CRITICAL|ERROR|failed|cannot)\b")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class GuardedProcess:
    """One run of a command. What it prints is appended to `log`.

    It has a session of its own, so that Ctrl-C in a terminal reaches only this process, which then ends its
    children in good order. Raises OSError if the guard cannot be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        folder: Path,
        log: Path,
        grace: float = 2.0,
        given: Path | None = None,
    ) -> None:
        """given: a file that is its standard input, which is empty by default."""
        self.log = log
        self._grace = grace
        log.parent.mkdir(parents=True, exist_ok=True)
        stdin = os.devnull if given is None else str(given.absolute())
        with log.open("ab") as out:
            self._log_start = out.tell()
            self._guard = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(_GUARD),
                    str(grace),
                    str(os.getpid()),
                    stdin,
                    *argv,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                env={**os.environ, **env},
                cwd=folder,
                start_new_session=True,
            )
        self._pid: int | None = None

    @property
    def pid(self) -> int:
        """Process id of the command itself (waits the milliseconds that the guard takes to start it)."""
        if self._pid is None:
            assert self._guard.stdout is not None
            self._pid = int(self._guard.stdout.readline() or -1)
        return self._pid

    def exit_code(self) -> int | None:
        """None while it runs; 128 + N if signal N ended it."""
        code = self._guard.poll()
        if code is not None and code < 0:
            self._end_what_the_guard_left()
        return code if code is None or code >= 0 else 128 - code

    def describe_exit(self) -> str:
        """How it ended, for a sentence: "ended with exit code 3"."""
        code = self.exit_code()
        if code is None:
            return "is running"
        if code > 128:
            with contextlib.suppress(ValueError):
                return f"was killed by {signal.Signals(code - 128).name}"
        return f"ended with exit code {code}"

    def describe_end(self) -> str:
        """How it ended and what it said of that: nothing, if it was killed from outside."""
        code = self.exit_code() or 0
        if code - 128 in (signal.SIGKILL, signal.SIGTERM):
            return self.describe_exit()
        return f"{self.describe_exit()}: {self.last_words()}"

    def printed(self) -> str:
        """What this run has written to its log so far (the last 64 kB)."""
        with self.log.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, log.tell() - 65_536))
            return _COLOUR.sub("", log.read().decode("utf-8", "replace"))

    def last_words(self) -> str:
        """The line of the log that best says what went wrong: the last that names an error, or the last."""
        lines = [line.strip() for line in self.printed().splitlines() if line.strip()]
        troubled = [line for line in lines if _TROUBLE.search(line)]
        return (troubled or lines or ["(it printed nothing)"])[-1][:500]

    def ask_to_stop(self) -> None:
        """Begin to end it; `stop` waits for the end."""
        if self._guard.stdin is not None and not self._guard.stdin.closed:
            self._guard.stdin.close()

    def stop(self) -> None:
        """End it: SIGTERM, the grace, SIGKILL. Safe to call twice."""
        self.ask_to_stop()
        try:
            self._guard.wait(self._grace + 3.0)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        if self._guard.returncode < 0:
            self._end_what_the_guard_left()
        if self._guard.stdout is not None:
            self._guard.stdout.close()

    def _end_what_the_guard_left(self) -> None:
        # Linux ends the command with its guard; elsewhere a guard that was killed leaves it behind.
        if self._pid is None and self._guard.stdout is not None and not self._guard.stdout.closed:
            self._pid = int(self._guard.stdout.readline() or -1)
        if self._pid is not None and self._pid > 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)
