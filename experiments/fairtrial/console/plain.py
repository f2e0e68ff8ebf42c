"""One line per event and a line of progress now and then: for CI, pipes and dumb terminals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from fairtrial.clock import Clock
from fairtrial.console.summary import summary
from fairtrial.console.text import clock_face, encodable, printable
from fairtrial.explanation.forecast import forecast
from fairtrial.judge.verdict import Decision, MetricResult, Verdict
from fairtrial.judge.wording import count, percent
from fairtrial.report import figures
from fairtrial.report.history import Event
from fairtrial.report.standing import decisive, leading, reach, standing

_WIDTH = 110


class PlainLines:
    """Writes progress to one stream and the summary to another, as text without control characters."""

    def __init__(
        self, progress: TextIO, results: TextIO, *, max_duration: float, clock: Clock, every: float = 5.0
    ) -> None:
        """`every`: seconds between lines of progress. `max_duration`: the run's longest, in seconds."""
        self._progress = progress
        self._results = results
        self._max_duration = max_duration
        self._clock = clock
        self._every = every
        self._began = clock.now()
        self._said: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._began = self._clock.now()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def phase(self, message: str) -> None:
        self._say(message)

    def event(self, event: Event) -> None:
        prefix = "INCIDENT " if event.kind == "incident" else ""
        self._say(prefix + event.message)

    def look(self, verdict: Verdict, weights: Mapping[str, float]) -> None:
        now = self._clock.now()
        last = self._said.get(verdict.candidate)
        if verdict.decision is Decision.CONTINUE and last is not None and now - last < self._every:
            return
        self._said[verdict.candidate] = now
        self._say(progress_line(verdict, weights, self._max_duration))

    def final(self, verdict: Verdict | None, run_folder: Path) -> None:
        for line in summary(verdict, run_folder, _WIDTH):
            self._write(self._results, "".join(text for text, _ in line).rstrip())

    def _say(self, text: str) -> None:
        self._write(self._progress, f"[{clock_face(self._clock.now() - self._began):>5}] {printable(text)}")

    @staticmethod
    def _write(stream: TextIO, text: str) -> None:
        print(encodable(text, stream.encoding), file=stream, flush=True)


def progress_line(verdict: Verdict, weights: Mapping[str, float], max_duration: float) -> str:
    """One look in one line: traffic, requests, each metric, and when to expect a decision."""
    arms = ", ".join(
        f"{arm.name} {percent(weights.get(arm.name, 0.0))} of traffic, "
        f"{count(arm.requests)} requests" + (f", {count(arm.errors)} errors" if arm.errors else "")
        for arm in verdict.arms
    )
    metrics = "; ".join(_metric(metric) for metric in verdict.metrics)
    outcome = (
        f"decision {forecast(verdict, max_duration).sentence}"
        if verdict.decision is Decision.CONTINUE
        else verdict.decision.value
    )
    return f"look {verdict.look}: {arms}; {metrics}; {outcome}"


def _metric(metric: MetricResult) -> str:
    name = figures.label(metric)
    _, word = standing(metric)
    if word == "untested":
        return f"{name} waits for data"
    claim = decisive(metric) or leading(metric)
    progress = word if claim is None or claim.crossed else f"{claim.claim} {percent(reach(claim))}"
    return f"{name} {figures.effect(metric, metric.effect)} ({progress})"
