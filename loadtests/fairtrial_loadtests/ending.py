"""How a process of a load ends: by an exit code and, if something went wrong, one sentence on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable

from fairtrial_loadtests.errors import ExitCode, LoadError

#: Of those that record.
NOT_WRITTEN = "The load's observations cannot be written"


def exit_code_of(work: Callable[[], ExitCode | None], otherwise: str) -> int:
    """Do the work; the code that it returns, or DONE.

    otherwise: what could not be done when the machine refuses, the beginning of a sentence.
    """
    try:
        return work() or ExitCode.DONE
    except LoadError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"{otherwise}: {error}.", file=sys.stderr)
        return ExitCode.FAILED
