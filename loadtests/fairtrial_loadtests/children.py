"""The load workers that a master starts on its own machine, and keeps up.

Each ends when the pipe from the master closes, which the system sees to however the master ends.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from fairtrial_loadtests.crew import TOKEN, Address
from fairtrial_loadtests.errors import LoadError

_RESTARTS = 3  # in a row, with nothing recorded between them
_GRACE = 5.0  # seconds to end by themselves
_ERROR_LINES = 3


@dataclass
class _Child:
    name: str
    process: subprocess.Popen[bytes]


class Children:
    """`workers` processes that show `token` to the master; logs go to `folder`.

    They start, which takes them seconds, while the master does, and wait for its address.
    """

    def __init__(self, workers: int, token: str, folder: Path) -> None:
        self._master: Address | None = None
        self._token = token
        self._folder = folder
        self._restarts = 0
        self._children = [self._start(str(number)) for number in range(1, workers + 1)]

    def come_to(self, master: Address) -> None:
        """Tell them where the master listens."""
        self._master = master
        for child in self._children:
            _tell_address(child.process, master)

    @property
    def pids(self) -> set[int]:
        return {child.process.pid for child in self._children}

    def recorded(self) -> None:
        """Something was recorded since one was last started again."""
        self._restarts = 0

    def restart_dead(self) -> list[str]:
        """Start again those that have died; says of each in a sentence how.

        Raises LoadError when that has been in vain too often.
        """
        said: list[str] = []
        for place, child in enumerate(self._children):
            code = child.process.poll()
            if code is None:
                continue
            said_last = self._last_words(child.name)
            self._restarts += 1
            if self._restarts > _RESTARTS:
                raise LoadError(
                    f"A load worker died {self._restarts} times with nothing recorded; it said: {said_last}"
                )
            ended = f"load worker {child.name} ended with code {code} and is started again"
            said.append(f"{ended}: {said_last}" if said_last else ended)
            self._close(child)
            self._children[place] = self._start(child.name)
        return said

    def close(self) -> None:
        """Wait for them to end, and kill those that do not."""
        deadline = time.monotonic() + _GRACE
        for child in self._children:
            try:
                child.process.wait(max(deadline - time.monotonic(), 0.01))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            self._close(child)

    def _start(self, name: str) -> _Child:
        command = [sys.executable, "-m", "fairtrial_loadtests.member", "--child", "--name", name]
        with self._log(name).open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                bufsize=0,
                stdout=log,
                stderr=log,
                env={**os.environ, TOKEN: self._token},
                process_group=0,  # the terminal's Ctrl-C is for the controller
            )
        if self._master is not None:
            _tell_address(process, self._master)
        return _Child(name, process)

    def _close(self, child: _Child) -> None:
        assert child.process.stdin is not None
        with contextlib.suppress(OSError):
            child.process.stdin.close()

    def _log(self, name: str) -> Path:
        return self._folder / f"load-worker-{name}.log"

    def _last_words(self, name: str) -> str:
        text = self._log(name).read_text(encoding="utf-8", errors="replace")
        return " ".join(text.splitlines()[-_ERROR_LINES:])


def _tell_address(process: subprocess.Popen[bytes], master: Address) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # it has died, which is seen elsewhere
        process.stdin.write(f"{master}\n".encode())
