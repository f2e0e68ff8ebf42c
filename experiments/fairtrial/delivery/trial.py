"""The trial of a version: a run of the pipeline's experiment, resumed by whoever comes next."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairtrial.atomic import write_text
from fairtrial.clock import Clock
from fairtrial.controller.effects import is_done
from fairtrial.controller.session import Options, resume, start
from fairtrial.delivery.means import Means
from fairtrial.delivery.pinning import Pinned, pinned_text
from fairtrial.delivery.postponing import check_window
from fairtrial.delivery.saying import Saying
from fairtrial.errors import AbortedError, UsageError
from fairtrial.journal.entries import Effect, Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.store import Journal
from fairtrial.journal.waiting import waits_for

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Trial:
    """How it ended."""

    folder: RunFolder
    promoted: bool

    @property
    def document(self) -> Mapping[str, Any]:
        """verdict.json."""
        return json.loads(self.folder.verdict.read_text(encoding="utf-8"))

    @property
    def evidence(self) -> dict[str, Any]:
        """What the ledger keeps: where the record is, and what it was, byte for byte."""
        found = self.document
        return {
            "run": self.folder.id,
            "verdict": found["verdict"],
            "reasons": found["reasons"],
            "folder": str(self.folder.path),
            "verdictDigest": _digest(self.folder.verdict),
            "reportDigest": _digest(self.folder.report),
        }


def tried(
    means: Means, runs: Path, baseline: Pinned, candidate: Pinned, cut_off: Callable[[], bool]
) -> Trial:
    """Put the candidate to the pipeline's experiment, or go on with the run that an earlier process began.

    runs: a folder for this delivery's runs alone. cut_off: whether something more urgent waits; the run is
    aborted then, and AbortedError raised. Raises PostponedError where it may not begin yet, and
    FairtrialError of every kind.
    """
    wanted = pinned_text(means.template, baseline, candidate)
    found = _newest(runs, means.clock)
    if found is not None and found.experiment.read_text(encoding="utf-8") != wanted:
        _end(means, found)  # against what served then, or by another experiment
        found = None
    if found is None:
        check_window(means.template, means.clock.now())
    options = _options(means, runs)
    with _abort_when(cut_off, runs, means.clock):
        if found is None:
            file = runs / "experiment.yaml"
            try:
                runs.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UsageError(f"cannot make the folder {runs}: {error.strerror}") from error
            write_text(file, wanted)
            found = start(file, options, lambda _: Saying(means.say), means.clock, means.fetching)
        elif not _ended(found, means.clock):
            found = resume(found, options, lambda _: Saying(means.say), means.clock, means.fetching)
    with closing(Journal.open(found.journal, means.clock)) as journal:
        return Trial(found, is_done(journal, Effect.PROMOTE))


def end_trials(means: Means) -> None:
    """End what an earlier process left under way: on a cluster it still divides the traffic.

    Raises FairtrialError of every kind.
    """
    for runs in sorted((means.state.folder / "runs").glob("*")):
        found = _newest(runs, means.clock)
        if found is not None and not _ended(found, means.clock):
            _end(means, found)


def _end(means: Means, run: RunFolder) -> None:
    """Return to its baseline. On this machine everything of it ended with its process."""
    if _ended(run, means.clock):
        return
    with closing(Journal.open(run.journal, means.clock)) as journal:
        journal.append(Kind.ABORT)
        if means.service.cluster is None:
            journal.append(Kind.ENDED, {"aborted": True})
            return
    with suppress(AbortedError):
        resume(
            run, _options(means, run.path.parent), lambda _: Saying(means.say), means.clock, means.fetching
        )


def _options(means: Means, runs: Path) -> Options:
    return Options(
        runs=runs,
        cluster=means.service.cluster,
        relative_to=means.template.parent,
        # A signal ends the watch, not the trial: the next watch takes it up.
        interrupt_returns=False,
    )


def _newest(runs: Path, clock: Clock) -> RunFolder | None:
    """The run to go on with; None where there is none, or the last one came to no verdict and cannot.

    One that was aborted and has not ended is gone on with: it has yet to return to its baseline.
    """
    found = sorted(runs.glob("*/journal.db"), key=lambda journal: journal.stat().st_mtime_ns)
    if not found:
        return None
    folder = RunFolder(found[-1].parent)
    with closing(Journal.open(folder.journal, clock)) as journal:
        ended = journal.last(Kind.ENDED)
        if journal.last(Kind.STARTED) is None or (ended is not None and ended.body.get("aborted")):
            return None
        entries = journal.entries(Kind.FAILED, Kind.RESUMED, Kind.VERDICT)
        failed = bool(entries) and entries[-1].kind is Kind.FAILED
        return None if failed else folder


def _ended(folder: RunFolder, clock: Clock) -> bool:
    with closing(Journal.open(folder.journal, clock)) as journal:
        return journal.last(Kind.ENDED) is not None


@contextmanager
def _abort_when(cut_off: Callable[[], bool], runs: Path, clock: Clock) -> Generator[None]:
    """While the block runs, end the run once something more urgent waits: back to the baseline first."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            if cut_off() and _abort(runs, clock):
                return

    with ThreadPoolExecutor(1, "fairtrial-urgent") as thread:
        watching = thread.submit(watch)
        try:
            yield
        finally:
            ended.set()
    watching.result()  # raises what ended it


def _abort(runs: Path, clock: Clock) -> bool:
    """Whether it was told to end. Of a run that acts on its verdict the end is awaited."""
    folder = _newest(runs, clock)
    if folder is None:
        return False
    with closing(Journal.open(folder.journal, clock)) as journal:
        if journal.last(Kind.VERDICT) is not None and waits_for(journal.entries(), clock.now()) is None:
            return False
        if journal.last(Kind.ABORT) is None:
            journal.append(Kind.ABORT)
        return True


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
