"""The view of a run that is about to begin."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from fairtrial.clock import SystemClock
from fairtrial.console.choose import choose
from fairtrial.console.interface import Console
from fairtrial.planning.plan import Plan


def console_of(plan: Plan, *, results: TextIO, quiet: bool = False) -> Console:
    """A live view or plain lines on stderr, as suits where it is watched; the summary on `results`."""
    return choose(
        sys.stderr,
        results,
        title=plan.experiment.metadata.name,
        max_duration=plan.experiment.spec.traffic.bounds.max_duration,
        clock=SystemClock(),
        environ=os.environ,
        quiet=quiet,
    )
