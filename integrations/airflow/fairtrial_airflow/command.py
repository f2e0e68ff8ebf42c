"""The `fairtrial` command as a child of a task: in an environment of its own, and ending with its task."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


@dataclass(frozen=True)
class Finished:
    """code: as docs/ci.md has them. document: the one on stdout; {} if there was none."""

    code: int
    document: Mapping[str, Any]
    last_words: str  # of stderr, the line that says what was wrong


class Command:
    """One call. `stop` may come from a signal handler or another thread at any time."""

    def __init__(
        self, line: Sequence[str], *, cwd: str | None, env: Mapping[str, str], grace: float, log: Logger
    ) -> None:
        """grace: seconds to shut down what it started, before it is killed."""
        self._line = list(line)
        self._cwd = cwd
        self._env = {**os.environ, **env}
        self._grace = grace
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._killer: threading.Timer | None = None
        self._stopped = False

    def run(self) -> Finished:
        """Its end. What it says on stderr goes to the log as it comes. Raises OSError if it cannot start."""
        self._log.info("%s", shlex.join(self._line))
        last = ""
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            self._process = process = subprocess.Popen(
                self._line,
                cwd=self._cwd,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one call
            )
            assert process.stderr is not None
            if self._stopped:
                self.stop()
            try:
                for line in process.stderr:
                    if line.strip():
                        last = line.strip()
                        self._log.info("%s", last)
                code = process.wait()
            finally:
                self._end()
            output.seek(0)
            return Finished(code, _document(output.read()), last)

    def stop(self) -> None:
        """Ask it to shut everything down, and see to it that it does."""
        self._stopped = True
        process = self._process
        if process is None or process.poll() is not None or self._killer is not None:
            return
        process.terminate()
        self._killer = threading.Timer(self._grace, _kill, [process])
        self._killer.daemon = True
        self._killer.start()

    def _end(self) -> None:
        """However we left: nothing is left running."""
        process = self._process
        assert process is not None
        if process.poll() is None:
            self.stop()
            process.wait()
        if self._killer is not None:
            self._killer.cancel()
        if process.stderr is not None:
            process.stderr.close()


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _end_with_parent() -> None:
    """Linux: a task that is killed outright takes its command with it, which then shuts down in order."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _document(text: str) -> Mapping[str, Any]:
    try:
        found: object = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
