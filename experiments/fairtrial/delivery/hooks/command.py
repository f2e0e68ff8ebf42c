"""A program of the team's own, which trains and registers a version."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fairtrial_graphs.backends.local.process import GuardedProcess

from fairtrial.delivery.events import Event
from fairtrial.delivery.hooks.naming import as_json, name_of
from fairtrial.errors import AbortedError, NotReadyError, UsageError
from fairtrial.experiment.quantities import format_duration

#: As in sysexits.h: the program says that it may be tried again.
_TRY_AGAIN = 75


class Command:
    """See `Hook`. Started means ended well: `start` returns when the program has.

    It ends with this process, however that ends, and what it started in its process group with it.
    """

    def __init__(self, run: Sequence[str], timeout: float, *, folder: Path, logs: Path) -> None:
        """folder: where it runs. logs: the folder for what it prints, made when needed."""
        self._run = run
        self._timeout = timeout
        self._folder = folder
        self._logs = logs

    def start(self, event: Event, cut_off: Callable[[], bool]) -> str:
        """See `Hook`. The program's event: its key in FAIRTRIAL_EVENT, and all of it as JSON on stdin."""
        name = name_of(event)
        log = self._logs / f"{name}.log"
        ended = self._logs / f"{name}.ended"
        if ended.is_file():  # by a process that died before it had written that down elsewhere
            return f"{self._run[0]} has run for this event already; see {log}"
        process = self._begin(event, self._logs / f"{name}.json", log)
        try:
            code = self._wait(process, cut_off)
            if code != 0:
                raise self._told(code, process)
        finally:
            process.stop()
        with contextlib.suppress(OSError):  # it has run: no full disk may make that untrue
            ended.touch()
        return f"{self._run[0]} ended well; see {log}"

    def _begin(self, event: Event, told: Path, log: Path) -> GuardedProcess:
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
            told.write_text(json.dumps(as_json(event), indent=2) + "\n", encoding="utf-8")
            return GuardedProcess(
                self._run, env={"FAIRTRIAL_EVENT": event.key}, folder=self._folder, log=log, given=told
            )
        except (OSError, ValueError) as error:  # ValueError: no process can be told a NUL
            said = error.strerror if isinstance(error, OSError) else error
            raise NotReadyError(f"the command {self._run[0]} cannot be started: {said}") from error

    def _wait(self, process: GuardedProcess, cut_off: Callable[[], bool]) -> int:
        deadline = time.monotonic() + self._timeout
        pause = 0.01
        while (code := process.exit_code()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise UsageError(
                    f"the command {self._run[0]} was ended after {format_duration(self._timeout)}, its "
                    f"timeout; see {process.log}, and spec.retrain.command.timeout"
                )
            if cut_off():
                raise AbortedError(f"the retraining {self._run[0]} was ended for what is more urgent")
            time.sleep(min(pause, left))
            pause = min(pause * 2, 0.5)
        return code

    @staticmethod
    def _told(code: int, process: GuardedProcess) -> NotReadyError | UsageError:
        said = f"the retraining {process.describe_end()} (see {process.log})"
        if code == _TRY_AGAIN or code > 128:  # killed from outside: by a person, or for its memory
            return NotReadyError(said)
        return UsageError(said)
