"""How far a job has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

_EVERY = 10.0  # seconds between lines where nobody watches


class Progress(Protocol):
    def phase(self, what: str) -> None:
        """What is being done before there are rows to count."""
        ...

    def begin(self, total: int | None, done: int) -> None:
        """`total` rows, where it is known; the predictions of `done` are there already."""
        ...

    def at(self, row: int, share: float | None) -> None:
        """`row` rows are through, and `share` (0 to 1) of the data where `total` is not known."""
        ...

    def end(self) -> None: ...


class Silent:
    def phase(self, what: str) -> None:
        del what

    def begin(self, total: int | None, done: int) -> None:
        del total, done

    def at(self, row: int, share: float | None) -> None:
        del row, share

    def end(self) -> None:
        pass


class Lines:
    """Plain lines: for CI, pods and pipes."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._total: int | None = None
        self._began = self._said = clock()
        self._first = 0

    def phase(self, what: str) -> None:
        self._say(what)

    def begin(self, total: int | None, done: int) -> None:
        self._total, self._first = total, done
        self._began = self._said = self._clock()
        if done:
            self._say(f"going on: the predictions of {done:,} rows are there already")

    def at(self, row: int, share: float | None) -> None:
        now = self._clock()
        if now - self._said < _EVERY:
            return
        self._said = now
        share = row / self._total if self._total else share
        line = f"{row:,} rows" if self._total is None else f"{row:,} of {self._total:,} rows"
        seconds = now - self._began
        if share:
            line += f" ({share:.0%})"
        if row > self._first and seconds > 0:
            rate = (row - self._first) / seconds
            line += f", {rate:,.0f} rows/s"
            if share:
                line += f", {row * (1 / share - 1) / rate:,.0f} s left"
        self._say(line)

    def end(self) -> None:
        pass

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class Bar:
    """A bar with rows a second and the time that is left."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[rows]}"),
            TimeRemainingColumn(),
            console=Console(file=stream),
            transient=True,
        )
        self._task: Any = None
        self._total: int | None = None
        self._first = 0
        self._began = time.monotonic()

    def phase(self, what: str) -> None:
        self._bar.start()
        self._task = self._bar.add_task(what, total=None, rows="")

    def begin(self, total: int | None, done: int) -> None:
        self._total, self._first, self._began = total, done, time.monotonic()
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._bar.start()
        self._task = self._bar.add_task("scoring", total=total or 1.0, rows="")

    def at(self, row: int, share: float | None) -> None:
        fresh = row - self._first
        rate = fresh / max(time.monotonic() - self._began, 1e-6)
        rows = f"{row:,} rows" + (f", {rate:,.0f} rows/s" if fresh > 0 else "")
        self._bar.update(self._task, completed=row if self._total else share or 0.0, rows=rows)

    def end(self) -> None:
        self._bar.stop()


def watch(stream: TextIO, *, quiet: bool = False) -> Progress:
    """What suits where `stream` is read."""
    if quiet:
        return Silent()
    in_ci = os.environ.get("CI", "").lower() not in {"", "0", "false"}
    if stream.isatty() and os.environ.get("TERM", "") not in {"", "dumb"} and not in_ci:
        return Bar(stream)
    return Lines(stream)
