"""How far long work has come: a line that is rewritten in a terminal, and one now and then elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

_EVERY_TERMINAL, _EVERY_PIPE = 0.1, 10.0


class Progress:
    """Writes to `stream`, no more often than people want to read. `clock`: seconds, monotonic."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._terminal = stream.isatty()
        self._every = _EVERY_TERMINAL if self._terminal else _EVERY_PIPE
        self._next = clock()
        self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_line()

    def phase(self, message: str) -> None:
        """A line of its own."""
        self._close_line()
        print(message, file=self._stream, flush=True)
        self._next = self._clock() + (0.0 if self._terminal else self._every)

    def of(self, what: str, done: float, total: float, unit: str = "") -> None:
        """`what`: `done` of `total`. The last one is always written."""
        now = self._clock()
        if now < self._next and done < total:
            return
        self._next = now + self._every
        self._write(f"{what}: {done:,.0f} of {total:,.0f}{unit and ' ' + unit} ({min(1, done / total):.0%})")

    def count(self, what: str, done: int) -> None:
        """`what`: `done`, of a number that is not known."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + self._every
        self._write(f"{what}: {done:,}")

    def _write(self, text: str) -> None:
        if self._terminal:
            print(f"\r\x1b[2K{text}", end="", file=self._stream, flush=True)
            self._open = True
        else:
            print(text, file=self._stream, flush=True)

    def _close_line(self) -> None:
        if self._open:
            print(file=self._stream, flush=True)
            self._open = False
