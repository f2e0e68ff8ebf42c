"""Batch scoring, with its errors as those of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from fairtrial_servers.errors import ServerError
from fairtrial_servers.scoring.arguments import options_from
from fairtrial_servers.scoring.progress import watch
from fairtrial_servers.scoring.run import run

from fairtrial.errors import ExitCode, NotReadyError, UnsafeModelError, UsageError

if TYPE_CHECKING:
    from fairtrial_servers.scoring.job import Outcome

_KINDS = {ExitCode.NOT_READY: NotReadyError, ExitCode.UNSAFE: UnsafeModelError}


def score_rows(said: Mapping[str, Any], stream: TextIO, *, quiet: bool) -> Outcome:
    """Score as the arguments in `said` have it, with progress on `stream`.

    Raises UsageError, NotReadyError (the model), UnsafeModelError.
    """
    try:
        return run(options_from(**said), watch(stream, quiet=quiet))
    except ServerError as error:
        raise _KINDS.get(ExitCode(error.exit_code), UsageError)(str(error)) from error
