"""The last words of a run: the verdict, its figures and reasons, where the report is, and the exit code."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from fairtrial.console.text import printable
from fairtrial.errors import ExitCode
from fairtrial.judge.verdict import Decision, Verdict
from fairtrial.report import figures
from fairtrial.report.standing import Tone, headline, reasons, standing, tone_of

#: A line in pieces, each with the tone it is coloured by, if any.
Line = Sequence[tuple[str, Tone | None]]

_MEANING = {
    ExitCode.OK: "promoted",
    ExitCode.ROLLED_BACK: "rolled back",
    ExitCode.INCONCLUSIVE: "inconclusive",
    ExitCode.ABORTED: "ended without a verdict",
}
_CODES = {
    Decision.PROMOTE: ExitCode.OK,
    Decision.ROLLBACK: ExitCode.ROLLED_BACK,
    Decision.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    Decision.CONTINUE: ExitCode.ABORTED,
}
_GAP = "  "


def exit_code(verdict: Verdict | None) -> ExitCode:
    """The exit code of a run that ended with this verdict."""
    return ExitCode.ABORTED if verdict is None else _CODES[verdict.decision]


def summary(verdict: Verdict | None, run_folder: Path | None, width: int) -> list[Line]:
    """The summary as lines of at most `width` columns, where names and figures allow."""
    code = exit_code(verdict)
    lines: list[Line] = [()]
    if verdict is None:
        lines.append((("The run ended before anything was judged.", Tone.OPEN),))
    else:
        tone = tone_of(verdict.decision)
        word = verdict.decision.value if verdict.decision is not Decision.CONTINUE else "NO VERDICT"
        lines += [((f"{word}  {printable(headline(verdict, over=True))}", tone),), ()]
        lines += _table(verdict, width)
        lines.append(())
        for reason in reasons(verdict):
            lines += _wrapped(printable(reason), width)
        lines.append(())
    if run_folder is not None:
        here = Path.cwd()
        near = run_folder.relative_to(here) if run_folder.is_relative_to(here) else run_folder
        lines.append(((f"report     {near / 'report.html'}", None),))
        lines.append(((f"explain    fairtrial explain {near}", None),))
    lines.append(((f"exit code  {int(code)} ({_MEANING[code]})", None),))
    return lines


def _table(verdict: Verdict, width: int) -> Iterable[Line]:
    head = ("", printable(verdict.baseline), printable(verdict.candidate), "effect", "interval", "margin", "")
    rows: list[tuple[str, ...]] = [head]
    tones: list[Tone | None] = [None]
    for metric in verdict.metrics:
        tone, word = standing(metric)
        rows.append(
            (
                printable(figures.label(metric)),
                figures.estimate(metric, metric.baseline),
                figures.estimate(metric, metric.candidate),
                figures.effect(metric, metric.effect),
                figures.interval(metric),
                figures.margin(metric),
                word,
            )
        )
        tones.append(tone)
    rows = [(row[0], *(_shortened(cell, 24) for cell in row[1:])) for row in rows]
    columns = [0, 1, 2, 3, 4, 5, 6]
    # A narrow terminal loses what the report has anyway, the margin first.
    for least in (5, 4):
        if _total(rows, columns) > width:
            columns.remove(least)
    name_width = max(8, width - _total(rows, columns[1:]) - len(_GAP))
    rows = [(_shortened(row[0], name_width), *row[1:]) for row in rows]
    widths = {column: max(len(row[column]) for row in rows) for column in columns}
    for row, tone in zip(rows, tones, strict=True):
        cells = [row[c].ljust(widths[c]) if c in (0, 6) else row[c].rjust(widths[c]) for c in columns]
        yield (("  " + _GAP.join(cells[:-1]) + _GAP, None), (cells[-1].rstrip(), tone))


def _total(rows: Sequence[tuple[str, ...]], columns: Sequence[int]) -> int:
    # The indent takes the place of the gap that the last column has not.
    return sum(max(len(row[c]) for row in rows) + len(_GAP) for c in columns)


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _wrapped(text: str, width: int) -> Iterable[Line]:
    for number, part in enumerate(textwrap.wrap(text, max(width - 4, 20)) or [""]):
        yield ((("  - " if number == 0 else "    ") + part, None),)
