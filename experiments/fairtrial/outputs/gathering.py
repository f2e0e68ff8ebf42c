"""The outcome of a run as its folder tells it, however far the run came."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from fairtrial.clock import SystemClock
from fairtrial.errors import FairtrialError
from fairtrial.experiment.reading import load
from fairtrial.history import history_of
from fairtrial.journal.entries import Entry, Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.store import Journal
from fairtrial.judge.verdict import Verdict
from fairtrial.outputs.outcome import Outcome


def name_in(file: Path | None) -> str:
    """The name of the experiment in a file; the file's own where it cannot be read."""
    if file is None:
        return "run"
    try:
        return load(file).metadata.name
    except FairtrialError:
        return file.stem


def of_verdict(outcome: Outcome, verdict: Verdict) -> Outcome:
    """With the verdict of a retrospective, of which no single looks are known."""
    return dataclasses.replace(outcome, looks={verdict.candidate: (verdict,)}, chosen=verdict)


def of_run(outcome: Outcome, folder: RunFolder) -> Outcome:
    """With what the run's journal says; as it was, but for the run's id, if it cannot be read.

    An outcome without an exit code is told of afterwards: when it was and what went wrong is the run's, too.
    """
    outcome = dataclasses.replace(outcome, run=folder.id)
    try:
        journal = Journal.open(folder.journal, SystemClock())
        try:
            entries = journal.entries()
            if not entries:
                return outcome
            history = history_of(folder, journal)
        finally:
            journal.close()
    except (FairtrialError, OSError):
        return outcome
    if outcome.code is None:
        outcome = dataclasses.replace(
            outcome,
            began=history.started,
            seconds=(history.ended or entries[-1].time) - history.started,
            error=_error(entries),
        )
    return dataclasses.replace(
        outcome,
        experiment=history.experiment_name,
        looks={candidate: history.looks(candidate) for candidate in history.candidates()},
        chosen=history.chosen(),
    )


def _error(entries: Sequence[Entry]) -> str | None:
    """Why a run did not come to its end, if it did not and has not been taken up again."""
    last = next(
        (e for e in reversed(entries) if e.kind in (Kind.ENDED, Kind.FAILED, Kind.INTERRUPTED, Kind.RESUMED)),
        None,
    )
    if last is None or last.kind is Kind.RESUMED:
        return None
    if last.kind is Kind.ENDED:
        return "The run was aborted on request." if last.body.get("aborted") else None
    return last.body["message"] if last.kind is Kind.FAILED else "The run was interrupted."
