"""What a run that cannot go on leaves behind: the baseline, alone."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from fairtrial_graphs.backends.interface import Backend

from fairtrial.console.interface import Console
from fairtrial.controller.effects import is_done, is_intended
from fairtrial.controller.run import Controller
from fairtrial.errors import AbortedError, FairtrialError, NotReadyError, UsageError
from fairtrial.journal.entries import Effect
from fairtrial.journal.interface import RunJournal


@contextmanager
def retreating(
    controller: Controller, baseline: str, backend: Backend, journal: RunJournal, console: Console
) -> Generator[None]:
    """Return to the baseline when the block is aborted, or fails with arms that would outlive it."""
    try:
        yield
    except AbortedError:
        if is_intended(journal, Effect.DEPLOY):  # else there is nothing to return from
            controller.return_to_baseline()
        raise
    except (NotReadyError, UsageError) as error:
        # Arms that cannot be tried must not stay on a cluster, and much is found out only once they serve.
        # But where the baseline itself is not ready, there is nothing to return to; and a candidate that was
        # promoted stays, whatever came after that.
        at_fault = error.arm if isinstance(error, NotReadyError) else None
        left = is_intended(journal, Effect.DEPLOY) and not is_done(journal, Effect.PROMOTE)
        if backend.outlives_run and left and at_fault != baseline:
            _return_to_baseline(controller, console)
        raise


def _return_to_baseline(controller: Controller, console: Console) -> None:
    try:
        controller.return_to_baseline()
    except FairtrialError as error:
        console.phase(f"the cluster cannot be returned to the baseline alone: {error}")
