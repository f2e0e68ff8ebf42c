"""A run's folder: which file is where, and who may write to it."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fairtrial.clock import Clock
from fairtrial.errors import UsageError
from fairtrial.locking import hold


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run. The folder's name is the run's id."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def journal(self) -> Path:
        return self.path / "journal.db"

    @property
    def experiment(self) -> Path:
        return self.path / "experiment.yaml"

    @property
    def manifest(self) -> Path:
        return self.path / "seldondeployment.yaml"

    @property
    def observations(self) -> Path:
        return self.path / "observations"

    @property
    def stored(self) -> Path:
        """What a baseline that is not deployed answered in an earlier run."""
        return self.path / "baseline.parquet"

    @property
    def verdict(self) -> Path:
        return self.path / "verdict.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def backend(self) -> Path:
        """What the backend needs while it runs, and the logs of what it started."""
        return self.path / "backend"

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the run for this process; the kernel lets go of it when the process dies.

        Raises UsageError when another process holds it.
        """
        with (self.path / "run.lock").open("a+") as lock:
            holder = hold(lock)
            if holder is not None:
                raise UsageError(f"run {self.id} is being worked on by process {holder}")
            yield

    def is_running(self) -> bool:
        try:
            with self.locked():
                return False
        except UsageError:
            return True


def new_run(runs: Path, name: str, clock: Clock) -> RunFolder:
    """Make the folder of a new run, e.g. runs/wine-20261122-204501-3f9a. Raises UsageError if it cannot."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(clock.now()))
    folder = RunFolder((runs / f"{name}-{stamp}-{secrets.token_hex(2)}").absolute())
    try:
        folder.observations.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"cannot make the run's folder {folder.path}: {error.strerror}") from error
    return folder


def find_run(which: str | None, cwd: Path) -> RunFolder:
    """The run meant by a folder, an id, or nothing (the newest). Looks in ./runs and ./*/runs.

    Raises UsageError that lists what is there.
    """
    if which and (Path(which) / "journal.db").is_file():
        return RunFolder(Path(which).absolute())
    candidates = sorted(
        (
            journal.parent
            for pattern in ("runs/*/journal.db", "*/runs/*/journal.db")
            for journal in cwd.glob(pattern)
        ),
        key=_age,
    )
    if which:
        matches = [c for c in candidates if c.name == which]
        if not matches:
            known = ", ".join(c.name for c in candidates[-5:]) or "none here"
            raise UsageError(
                f"no run {which!r}: it is neither a run's folder nor a known id (known: {known})"
            )
        return RunFolder(matches[-1].absolute())
    if not candidates:
        raise UsageError(f"no runs in {cwd / 'runs'}: name a run's folder, or start one with `fairtrial run`")
    return RunFolder(candidates[-1].absolute())


_STAMP = re.compile(r"-(\d{8}-\d{6})-[0-9a-f]{4}$")


def _age(folder: Path) -> str:
    found = _STAMP.search(folder.name)
    return found.group(1) if found else ""
