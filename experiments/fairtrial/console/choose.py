"""Which view of a run suits where it is watched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from fairtrial.clock import Clock
from fairtrial.console.interface import Console, Quiet
from fairtrial.console.plain import PlainLines


def choose(
    progress: TextIO,
    results: TextIO,
    *,
    title: str,
    max_duration: float,
    clock: Clock,
    environ: Mapping[str, str],
    quiet: bool = False,
) -> Console:
    """A live view if `progress` is a terminal that a person watches, plain lines if not, or nothing.

    `progress` (stderr) shows the run and `results` (stdout) its summary. `title` names the experiment,
    `max_duration` is its longest in seconds of load.
    """
    if quiet:
        return Quiet()
    in_ci = environ.get("CI", "").lower() not in {"", "0", "false"}
    watched = progress.isatty() and environ.get("TERM", "") not in {"", "dumb"} and not in_ci
    if not watched:
        return PlainLines(progress, results, max_duration=max_duration, clock=clock)
    # rich costs 0.3 s, which only a terminal is worth.
    from fairtrial.console.live import LiveView

    return LiveView(progress, results, title=title, max_duration=max_duration, clock=clock)
