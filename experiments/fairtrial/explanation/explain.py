"""The whole explanation of a run."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fairtrial.explanation.change import what_would_change
from fairtrial.explanation.losses import losing_slices, worst_rows
from fairtrial.explanation.paragraph import Paragraph
from fairtrial.explanation.rows import compare
from fairtrial.explanation.why import claims, why
from fairtrial.judge.verdict import Verdict
from fairtrial.report.columns import Table
from fairtrial.report.history import History


@dataclass(frozen=True)
class Rows:
    """What was measured, and the data that was sent."""

    observations: Table  # columns of fairtrial_loadtests.observation.SCHEMA
    dataset: Table | None = None  # row n of it is what an observation calls row n
    target: str | None = None  # its column of right answers


def explain(history: History, rows: Rows) -> list[Paragraph]:
    """Why the verdict, what would have changed it, and on which rows and slices the candidate loses.

    Raises UsageError if `rows.dataset` cannot be the data set that the run replayed.
    """
    finals = history.finals()
    if not finals:
        return [Paragraph("Why", "Nothing was judged, so there is nothing to explain.")]
    return [paragraph for verdict in finals for paragraph in _on_candidate(verdict, rows, history.over)]


def as_text(paragraphs: Sequence[Paragraph], width: int = 100) -> str:
    """Paragraphs as plain text, wrapped to `width` columns."""
    return "\n".join(line for paragraph in paragraphs for line in _lines(paragraph, width))


def _on_candidate(verdict: Verdict, rows: Rows, over: bool) -> Iterator[Paragraph]:
    yield why(verdict, over=over)
    yield claims(verdict)
    yield what_would_change(verdict)
    compared = compare(rows.observations, verdict.baseline, verdict.candidate)
    if compared is None:
        yield Paragraph(
            f"Rows on which {verdict.candidate} loses",
            "No row of a data set was answered by both arms, so they cannot be compared row by row.",
        )
        return
    yield worst_rows(compared, verdict.candidate, verdict.baseline, rows.dataset, rows.target)
    if rows.dataset is not None:
        yield losing_slices(compared, verdict.candidate, rows.dataset, rows.target)


def _lines(paragraph: Paragraph, width: int) -> Iterator[str]:
    yield paragraph.heading
    yield from textwrap.wrap(paragraph.text, width, initial_indent="  ", subsequent_indent="  ")
    for point in paragraph.points:
        yield from textwrap.wrap(point, width, initial_indent="  - ", subsequent_indent="    ")
    yield ""
