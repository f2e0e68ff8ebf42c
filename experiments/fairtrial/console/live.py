"""The live view: redrawn in place a few times a second while a run runs."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console as Terminal
from rich.console import ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from fairtrial.clock import Clock
from fairtrial.console.screen import ASCII, STYLES, UNICODE, State, screen
from fairtrial.console.summary import summary
from fairtrial.console.text import printable
from fairtrial.judge.verdict import Verdict
from fairtrial.report.history import Event

_LONGEST_LINE = 110


class LiveView:
    """Shows the run on a terminal while it runs and clears itself away; the summary stays."""

    def __init__(
        self, progress: TextIO, results: TextIO, *, title: str, max_duration: float, clock: Clock
    ) -> None:
        self._terminal = Terminal(file=progress, highlight=False)
        self._results = Terminal(file=results, highlight=False, soft_wrap=True)
        self._clock = clock
        self._glyphs = UNICODE if self._terminal.encoding.startswith("utf") else ASCII
        self._lock = threading.Lock()
        self._over = False  # the summary is printed; what follows is told line by line
        began = clock.now()
        self._phase_began = began
        self._state = State(
            title=title,
            max_duration=max_duration,
            phase="starting",
            phase_seconds=0.0,
            verdicts=(),
            weights={},
            events=(),
            began=began,
        )
        self._live = Live(self, console=self._terminal, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __rich_console__(self, console: Terminal, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            state = replace(self._state, phase_seconds=self._clock.now() - self._phase_began)
        # The last row stays free, or the terminal scrolls at each redraw.
        yield Text("\n").join(screen(state, options.max_width, console.size.height - 1, self._glyphs))

    def phase(self, message: str) -> None:
        if self._over:
            self._terminal.print(Text(printable(message)))
        with self._lock:
            self._phase_began = self._clock.now()
            self._state = replace(self._state, phase=message)

    def event(self, event: Event) -> None:
        with self._lock:
            self._state = replace(self._state, events=(*self._state.events, event))

    def look(self, verdict: Verdict, weights: Mapping[str, float]) -> None:
        with self._lock:
            kept = {known.candidate: known for known in self._state.verdicts} | {verdict.candidate: verdict}
            self._state = replace(self._state, verdicts=tuple(kept.values()), weights=dict(weights))

    def final(self, verdict: Verdict | None, run_folder: Path) -> None:
        self._live.stop()
        self._over = True
        for line in summary(verdict, run_folder, min(self._results.width, _LONGEST_LINE)):
            text = Text()
            for piece, tone in line:
                text.append(piece, style=f"bold {STYLES[tone]}" if tone else "")
            self._results.print(text)
