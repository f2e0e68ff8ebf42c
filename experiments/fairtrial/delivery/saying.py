"""A trial as lines of the watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from fairtrial.judge.verdict import Verdict
from fairtrial.report.history import Event


class Saying:
    """See `Console`. Looks that only go on are not said."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace

    def phase(self, message: str) -> None:
        self._say(f"trial: {message}")

    def event(self, event: Event) -> None:
        self._say(f"trial: {event.message}")

    def look(self, verdict: Verdict, weights: Mapping[str, float]) -> None:
        del verdict, weights

    def final(self, verdict: Verdict | None, run_folder: Path) -> None:
        del run_folder
        if verdict is not None:
            for reason in (verdict.decision.value, *verdict.reasons):
                self._say(f"trial: {reason}")
