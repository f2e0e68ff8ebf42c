"""The files that decide what a load sends. A run that is taken up again must find them as they were."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.planning.sending import arrivals_of

#: By what the journal calls them.
_DATA, _TRACE, _USERS = "data", "trace", "locustfile"


def digest(path: Path) -> str:
    """Of a file: SHA-256, in hexadecimal. Raises UsageError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"the data {path} cannot be read: {error.strerror}") from error


def digests_of(experiment: Experiment) -> dict[str, str | None]:
    """Of all these files, as the journal has them; None for those that there are none of."""
    return {name: digest(path) if path is not None else None for name, path in _files_of(experiment).items()}


def check_planned_from(experiment: Experiment, started: Mapping[str, Any], run: str) -> None:
    """Raises UsageError if the files that a run's plan is made of are not those that were recorded.

    started: the journal's first entry. run: its id.
    """
    _check(experiment, started, run, (_DATA, _TRACE))


def check_sent_from(experiment: Experiment, started: Mapping[str, Any], run: str) -> None:
    """The same of what is only sent."""
    _check(experiment, started, run, (_USERS,))


def _check(experiment: Experiment, started: Mapping[str, Any], run: str, names: tuple[str, ...]) -> None:
    files = _files_of(experiment)
    for name in names:
        path = files[name]
        # What an earlier version began has no word of all of them.
        if name not in started or (digest(path) if path is not None else None) == started[name]:
            continue
        if path is None:
            raise UsageError(
                f"the {name} that run {run} began with is gone: put it back where it was, so that the same "
                f"requests are sent"
            )
        if started[name] is None:
            raise UsageError(f"{path} was not there when run {run} began: take it away, then resume it")
        raise UsageError(f"{path} has changed since run {run} began: it is not the one recorded")


def _files_of(experiment: Experiment) -> dict[str, Path | None]:
    load = experiment.spec.traffic.load_test
    if load is None:
        return dict.fromkeys((_DATA, _TRACE, _USERS))
    trace = arrivals_of(experiment).trace
    return {
        _DATA: experiment.data,
        _TRACE: trace.file if trace is not None else None,
        _USERS: experiment.folder / load.locustfile if load.locustfile is not None else None,
    }
