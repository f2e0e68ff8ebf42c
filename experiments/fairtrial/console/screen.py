"""The live view as lines of text: a pure function of what is known and of the terminal's size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from fairtrial.console.text import clock_face, printable
from fairtrial.explanation.forecast import forecast
from fairtrial.judge.verdict import ArmSummary, ClaimResult, MetricResult, Verdict
from fairtrial.judge.wording import count, percent, seconds
from fairtrial.report import figures
from fairtrial.report.history import Event
from fairtrial.report.standing import AGAINST, Tone, leading, reach, standing

STYLES = {Tone.GOOD: "green", Tone.BAD: "red", Tone.OPEN: "yellow", Tone.QUIET: "bright_black"}
_DIM = "bright_black"
_EVENTS = 4


@dataclass(frozen=True)
class Glyphs:
    spinner: str
    full: str
    empty: str
    arrow: str


UNICODE = Glyphs("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "━", "─", "→")
ASCII = Glyphs("|/-\\", "#", ".", "->")


@dataclass(frozen=True)
class State:
    """What is known of the run by now."""

    title: str
    max_duration: float
    phase: str
    phase_seconds: float  # since the phase began
    verdicts: Sequence[Verdict]  # the last one on each candidate
    weights: Mapping[str, float]
    events: Sequence[Event]
    began: float  # seconds since the epoch


def screen(state: State, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """At most `height` lines of at most `width` columns."""
    top = [_title(state, width), _phase(state, glyphs), Text()]
    if state.verdicts:
        top += [*_arms(state, width), Text()]
    bottom = [_decision(state)] if state.verdicts else []
    # Events give way to metrics: each of those has a line at least.
    least = sum(len(verdict.metrics) + (len(state.verdicts) > 1) for verdict in state.verdicts)
    spare = height - len(top) - len(bottom) - least - 2
    events = [_event(event, state) for event in state.events[-min(max(spare, 1), _EVENTS) :]]
    room = height - len(top) - len(bottom) - len(events) - (2 if events else 1)
    middle = _metrics(state, width, room, glyphs)
    lines = [*top, *middle, *([Text()] if middle else []), *bottom, *events]
    for line in lines:
        line.truncate(width, overflow="ellipsis" if glyphs is UNICODE else "crop")
    return lines[:height]


def _title(state: State, width: int) -> Text:
    names = [printable(verdict.candidate) for verdict in state.verdicts]
    versus = f"  {', '.join(names)} against {printable(state.verdicts[0].baseline)}" if names else ""
    look = f"look {state.verdicts[-1].look}  " if names else ""
    elapsed = state.verdicts[-1].elapsed if names else 0.0
    right = f"{look}{clock_face(elapsed)} of {clock_face(state.max_duration)}"
    room = max(width - cell_len(right) - 1, 0)
    left = Text.assemble((printable(state.title), "bold"), versus)
    left.truncate(room, overflow="ellipsis", pad=True)
    return Text.assemble(left, " ", (right, _DIM))


def _phase(state: State, glyphs: Glyphs) -> Text:
    frame = glyphs.spinner[int(state.phase_seconds * 4) % len(glyphs.spinner)]
    return Text.assemble(
        (frame, "cyan"), f" {printable(state.phase)} ", (clock_face(state.phase_seconds), _DIM)
    )


def _arms(state: State, width: int) -> Iterable[Text]:
    arms: dict[str, ArmSummary] = {arm.name: arm for verdict in state.verdicts for arm in verdict.arms}
    name_width = min(max(12, *(len(name) + 2 for name in arms)), max(width - 52, 12))
    header = f"{'arm':<{name_width}}{'traffic':>9}{'requests':>11}{'errors':>9}{'p50':>11}{'p99':>11}"
    yield Text(header, style=_DIM)
    for arm in arms.values():
        weight = state.weights.get(arm.name)
        share = percent(weight) if weight is not None else ""
        p50, p99 = (
            figures.NOTHING if value is None else "failed" if value == float("inf") else seconds(value)
            for value in (arm.latency_p50, arm.latency_p99)
        )
        yield Text.assemble(
            (set_cell_size(printable(arm.name), name_width - 1) + " ", "bold"),
            f"{share:>9}{count(arm.requests):>11}",
            (f"{count(arm.errors):>9}", "red" if arm.errors else ""),
            f"{p50:>11}{p99:>11}",
        )


def _metrics(state: State, width: int, room: int, glyphs: Glyphs) -> list[Text]:
    """The fullest form that has room: claims on lines of their own, side by side, or only the leading one."""
    forms = [_apart, _beside, _leading]
    if width < 100:
        forms.remove(_beside)
    blocks: list[list[Text]] = []
    for form in forms:
        blocks = []
        for verdict in state.verdicts:
            if len(state.verdicts) > 1:
                blocks.append([Text(printable(verdict.candidate), style="bold")])
            blocks += [form(metric, width, glyphs) for metric in verdict.metrics]
        if sum(map(len, blocks)) <= room:
            return [line for block in blocks for line in block]
    lines = [line for block in blocks for line in block]
    hidden = len(lines) - max(room - 1, 0)
    return [*lines[: max(room - 1, 0)], Text(f"and {hidden} more lines", style=_DIM)]


def _untested(metric: MetricResult) -> bool:
    return all(claim.statistic is None for claim in metric.claims)


def _apart(metric: MetricResult, width: int, glyphs: Glyphs) -> list[Text]:
    bar = min(max(width - 46, 8), 40)
    claims = [_claim(claim, bar, glyphs) for claim in metric.claims]
    return [_figures(metric, width, glyphs), *(_waiting(metric) if _untested(metric) else claims)]


def _beside(metric: MetricResult, width: int, glyphs: Glyphs) -> list[Text]:
    if _untested(metric):
        return [_figures(metric, width, glyphs), *_waiting(metric)]
    bar = max(width // 2 - 32, 8)
    claims = Text("").join(_claim(claim, bar, glyphs, pad=width // 2) for claim in metric.claims)
    return [_figures(metric, width, glyphs), claims]


def _leading(metric: MetricResult, width: int, glyphs: Glyphs) -> list[Text]:
    tone, word = standing(metric)
    claim = leading(metric)
    line = Text.assemble(
        (set_cell_size(printable(figures.label(metric)), 16) + " ", "bold"),
        f"{figures.effect(metric, metric.effect):>11}  ",
    )
    if claim is not None and not claim.crossed:
        line.append_text(_bar(claim, max(width - 66, 6), glyphs))
        line.append(f" {claim.claim} z {figures.z(claim.statistic)} of {figures.z(claim.boundary)}")
    else:
        line.append(word, style=STYLES[tone])
    return [line]


def _figures(metric: MetricResult, width: int, glyphs: Glyphs) -> Text:
    tone, word = standing(metric)
    name = set_cell_size(printable(figures.label(metric)), 17 if width < 100 else 26)
    line = Text.assemble((name + " ", "bold"), (f"{word:<9}", STYLES[tone]))
    if metric.baseline is not None or metric.candidate is not None:
        before, after = (figures.estimate(metric, value) for value in (metric.baseline, metric.candidate))
        line.append(f"{before} {glyphs.arrow} {after}")
    if metric.effect is not None:
        line.append(f"  {figures.effect(metric, metric.effect)}", style="bold")
    if metric.interval is not None:
        line.append(f" ({figures.interval(metric)})", style=_DIM)
    return line


def _waiting(metric: MetricResult) -> list[Text]:
    return [Text(f"  waiting: {printable(metric.waiting or 'for data')}", style=_DIM)]


def _claim(claim: ClaimResult, bar: int, glyphs: Glyphs, pad: int | None = None) -> Text:
    line = Text.assemble(f"  {claim.claim:<7}", _bar(claim, bar, glyphs))
    if claim.statistic is None or claim.boundary is None:
        line.append(" no statistic yet", style=_DIM)
    else:
        since = f", since look {claim.crossed_at_look}" if claim.crossed_at_look else ""
        line.append(f" z {figures.z(claim.statistic)} of {figures.z(claim.boundary)}{since}", style=_DIM)
    if pad is not None:
        line.truncate(pad, pad=True)
    return line


def _bar(claim: ClaimResult, width: int, glyphs: Glyphs) -> Text:
    """How much of the way from 0 to its boundary the statistic has come."""
    filled = round(reach(claim) * width)
    colour = "red" if claim.claim in AGAINST else "green"
    return Text.assemble((glyphs.full * filled, colour), (glyphs.empty * (width - filled), _DIM))


def _decision(state: State) -> Text:
    forecasts = [forecast(verdict, state.max_duration) for verdict in state.verdicts]
    line = Text("decision ", style="bold")
    if len(forecasts) > 1:
        said = (
            f"{printable(v.candidate)} {f.sentence}" for v, f in zip(state.verdicts, forecasts, strict=True)
        )
        return line.append("; ".join(said))
    line.append(forecasts[0].sentence)
    if forecasts[0].waits_for is not None:
        line.append(f", waiting for {printable(forecasts[0].waits_for)}", style=_DIM)
    return line


def _event(event: Event, state: State) -> Text:
    style = "red" if event.kind == "incident" else ""
    return Text.assemble(
        (f"{clock_face(event.time - state.began):>7} ", _DIM), (printable(event.message), style)
    )
