"""Outcomes of runs that were made up."""

from __future__ import annotations

from fairtrial.console.summary import exit_code
from fairtrial.errors import ExitCode
from fairtrial.outputs.outcome import Outcome
from fairtrial.report.history import History


def outcome_of(history: History) -> Outcome:
    """As a run with that history ends."""
    return Outcome(
        history.experiment_name,
        exit_code(history.chosen()),
        history.started,
        12.3,
        None,
        history.run_id,
        {candidate: history.looks(candidate) for candidate in history.candidates()},
        history.chosen(),
    )


def broken(error: str, code: ExitCode = ExitCode.NOT_READY) -> Outcome:
    """Of a run that never got to a look."""
    return Outcome("digits", code, 0.0, 3.0, error)
