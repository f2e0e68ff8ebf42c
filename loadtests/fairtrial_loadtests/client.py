"""The controller's side of a load: starts the process, tells its new parts, ends it.

A load of several processes has one of its own that starts and merges them: it looks the same from here.

Imports neither gevent nor Locust nor pyarrow, all of which belong into the other process.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

from fairtrial_loadtests.crew import ALONE, Crew
from fairtrial_loadtests.incidents import beside, told
from fairtrial_loadtests.parts import parts_from
from fairtrial_loadtests.plan import LoadPlan

_ERROR_LINES = 5


class LoadProcess:
    """One load in a process of its own. `folder` takes its plan (`load-plan.json`) and log (`load.log`).

    `crew` says who sends it.

    The process ends when the schedule does, when it is asked to, and when this one dies. It may be started
    from any thread.
    """

    def __init__(self, plan: LoadPlan, folder: Path, crew: Crew = ALONE) -> None:
        self._plan = plan
        self._crew = crew
        self._plan_file = folder / "load-plan.json"
        self._incidents = beside(self._plan_file)
        self._told = 0
        self._log = folder / "load.log"
        self._next_part = plan.first_part
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it. Returns at once; the first part comes about two seconds later."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._plan_file.write_text(self._plan.to_json(), encoding="utf-8")
        self._incidents.unlink(missing_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._program, str(self._plan_file)],
                stdin=subprocess.PIPE,
                bufsize=0,
                stdout=log,
                stderr=log,
                process_group=0,  # out of reach of the terminal's Ctrl-C before it can ignore it
            )

    def poll(self) -> list[Path]:
        """The parts that have become complete since the last call, in order."""
        new = list(parts_from(self._plan.output, self._next_part))
        self._next_part += len(new)
        return new

    def incidents(self) -> list[str]:
        """What it has told since the last call, in sentences."""
        new = told(self._incidents, self._told)
        self._told += len(new)
        return new

    def stop(self) -> int:
        """Ask it to end, wait until the answers are in, and kill it if it does not. Returns its exit code.

        Call `poll` once more afterwards: the last part comes with the end. May be called again.
        """
        process = self._started()
        assert process.stdin is not None
        if process.poll() is None:
            with contextlib.suppress(OSError):  # it has ended just now
                process.stdin.write(b"stop\n")
        try:
            process.wait(self._patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdin.close()
        return process.returncode

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit code (`errors.ExitCode`), negative for a signal; None while it runs or before it started."""
        return self._process.poll() if self._process is not None else None

    @property
    def error(self) -> str:
        """The last lines of its log; "" if it had nothing to say."""
        if not self._log.exists():
            return ""
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_ERROR_LINES:])

    @property
    def _program(self) -> list[str]:
        if self._crew.is_alone:
            return ["fairtrial_loadtests.worker"]
        bind = ["--bind", str(self._crew.bind)] if self._crew.bind else []
        return ["fairtrial_loadtests.master", "--workers", str(self._crew.workers), *bind]

    @property
    def _patience(self) -> float:
        """Seconds that it may take to end once asked: imports, open pairs, answers, the last part.

        A master gives each of its workers as long.
        """
        return self._plan.timeout + (15.0 if self._crew.is_alone else 30.0)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the load has not been started")
        return self._process
