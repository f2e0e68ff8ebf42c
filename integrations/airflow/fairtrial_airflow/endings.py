"""What the end of a trial means for a task."""

from __future__ import annotations

from typing import Literal

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

#: "fail": the task fails and is not tried again. "skip": it and what follows are skipped. "pass": success.
Reaction = Literal["fail", "skip", "pass"]

PROMOTED, USAGE, UNSAFE, ROLLED_BACK, INCONCLUSIVE, ABORTED = 0, 2, 4, 10, 11, 12
#: Trying again brings the same; for a verdict it would be a second draw at its rate of error.
_FINAL = frozenset({USAGE, UNSAFE, ABORTED})
_OF_PHASE = {
    "Promoted": PROMOTED,
    "RolledBack": ROLLED_BACK,
    "Inconclusive": INCONCLUSIVE,
    "Aborted": ABORTED,
}
_REFUSED = "Refused"


def check_reaction(name: str, value: str) -> Reaction:
    """Raises ValueError, so that a wrong DAG is not imported."""
    if value not in ("fail", "skip", "pass"):
        raise ValueError(f'{name} is "fail", "skip" or "pass", not {value!r}')
    return value


def code_of(phase: str) -> int:
    """The exit code that a run with such an end has, by the phase of an Experiment resource."""
    return USAGE if phase == _REFUSED else _OF_PHASE.get(phase, 1)


def react(code: int, message: str, *, on_rollback: Reaction, on_inconclusive: Reaction) -> None:
    """Returns if the task is to succeed.

    Raises AirflowSkipException, AirflowFailException (not to be tried again) or AirflowException (it may be).
    """
    if code == PROMOTED:
        return
    if code in (ROLLED_BACK, INCONCLUSIVE):
        reaction = on_rollback if code == ROLLED_BACK else on_inconclusive
        if reaction == "skip":
            raise AirflowSkipException(message)
        if reaction == "fail":
            raise AirflowFailException(message)
        return
    if code in _FINAL:
        raise AirflowFailException(message)
    raise AirflowException(message)
