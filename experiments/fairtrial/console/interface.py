"""What the controller tells whoever is watching."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from fairtrial.judge.verdict import Verdict
from fairtrial.report.history import Event


class Console(Protocol):
    """A view of one run, open while the `with` block runs.

    Its methods may be called from one thread at a time, and never fail because nobody is watching.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def phase(self, message: str) -> None:
        """What the run is doing from now on: "starting v1 and v2", "loading", "deciding"."""
        ...

    def event(self, event: Event) -> None:
        """Something happened that belongs in the run's record."""
        ...

    def look(self, verdict: Verdict, weights: Mapping[str, float]) -> None:
        """The evidence was judged; `weights` are the split's fractions by arm at that moment."""
        ...

    def final(self, verdict: Verdict | None, run_folder: Path) -> None:
        """The run is over and `run_folder` holds its record. None: it ended before anything was judged."""
        ...


class Quiet:
    """Says nothing: for `--output json`, whose one document says it all."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace

    def phase(self, message: str) -> None:
        del message

    def event(self, event: Event) -> None:
        del event

    def look(self, verdict: Verdict, weights: Mapping[str, float]) -> None:
        del verdict, weights

    def final(self, verdict: Verdict | None, run_folder: Path) -> None:
        del verdict, run_folder
