"""How far a model has come in, on a line of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

from fairtrial.cli.progress import Progress
from fairtrial.planning.models import Fetching

_MB = 1e6


@contextmanager
def fetching_told() -> Generator[Fetching]:
    """On stderr, as suits where it is watched."""
    with Progress(sys.stderr, time.monotonic) as progress:
        yield fetching_to(progress)


def fetching_to(progress: Progress) -> Fetching:
    """The first and the last are always told."""
    begun: set[str] = set()

    def told(what: str, done: int, total: int | None) -> None:
        if what not in begun:
            begun.add(what)
            size = "" if total is None else f" ({total / _MB:,.1f} MB)"
            progress.phase(f"fetching {what}{size}")
        elif total is None:
            progress.count(f"fetching {what}, bytes", done)
        elif done < total:
            progress.of(f"fetching {what}", done / _MB, total / _MB, "MB")
        else:
            progress.phase(f"fetched {what}")

    return told
