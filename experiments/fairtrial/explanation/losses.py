"""Where the candidate loses, in sentences: its worst rows, and the slices that stand out."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np

from fairtrial.errors import UsageError
from fairtrial.explanation.paragraph import Paragraph
from fairtrial.explanation.rows import Compared, Measure
from fairtrial.explanation.slices import FALSE_DISCOVERY_RATE, Slice, search
from fairtrial.judge.wording import count, percent, seconds
from fairtrial.report.columns import Table, texts

_WORST = 5


def worst_rows(
    compared: Compared, candidate: str, baseline: str, dataset: Table | None, target: str | None
) -> Paragraph:
    """The rows on which the candidate loses most, and how many it wins in return."""
    difference = compared.difference
    worse, better = int((difference > 0).sum()), int((difference < 0).sum())
    heading = f"Rows on which {candidate} loses"
    total = count(compared.row.size)
    if compared.binary:
        text = (
            f"Of {total} rows that both answered, {candidate} is wrong on {count(worse)} that "
            f"{baseline} gets right, and right on {count(better)} that {baseline} gets wrong."
        )
    else:
        text = (
            f"Of {total} rows that both answered, {candidate} has the larger {_noun(compared)} on "
            f"{count(worse)} and the smaller on {count(better)}."
        )
    order = np.lexsort((compared.row, -difference))
    points = [
        _row(compared, int(i), candidate, baseline, _target(dataset, target, int(compared.row[i])))
        for i in order[:_WORST]
        if difference[i] > 0
    ]
    rest = worse - len(points)
    if points and rest > 0:
        points.append(f"and {count(rest)} more")
    return Paragraph(heading, text, tuple(points))


def losing_slices(compared: Compared, candidate: str, dataset: Table, target: str | None) -> Paragraph:
    """The slices on which the candidate loses. Raises UsageError if `dataset` cannot be the one replayed."""
    last = int(compared.row.max())
    if last >= dataset.num_rows:
        raise UsageError(
            f"the data set has {count(dataset.num_rows)} rows, but the run sent row {last}: "
            "it is not the one that was replayed, name that one"
        )
    found = search(compared, dataset, target)
    heading = f"Slices on which {candidate} loses"
    looked = f"{count(found.looked_at)} slices were looked at"
    rule = f"corrected for their number (Benjamini-Hochberg, {percent(FALSE_DISCOVERY_RATE)})"
    if found.looked_at == 0:
        return Paragraph(heading, "No slice has rows enough on which the two differ.")
    if not found.found:
        near = f" The nearest is {_slice(compared, found.nearest)}." if _telling(found.nearest) else ""
        evenly = (
            " It loses overall, but nowhere clearly more than elsewhere."
            if float(compared.difference.mean()) > 0
            else ""
        )
        return Paragraph(heading, f"None stands out: {looked}, {rule}.{evenly}{near}")
    return Paragraph(
        heading,
        f"Where it loses, and more than elsewhere: {looked}, {rule}, and these stand out. They are leads to "
        "look into, not verdicts.",
        tuple(_slice(compared, each) for each in found.found),
    )


def _telling(nearest: Slice | None) -> TypeGuard[Slice]:
    """Whether a slice that does not stand out is still worth naming."""
    return nearest is not None and nearest.p_value < 0.2


def _row(compared: Compared, i: int, candidate: str, baseline: str, target: str | None) -> str:
    before, after = (predictions[i] for predictions in compared.predictions)
    name = f"row {compared.row[i]}"
    truth = f" (target {target})" if target is not None else ""
    if compared.measure is Measure.LATENCY:
        took = seconds(float(compared.candidate[i])), seconds(float(compared.baseline[i]))
        return f"{name}: {candidate} took {took[0]}, {baseline} {took[1]}"
    if after is None and compared.binary and before is not None:
        return f"{name}{truth}: {candidate} failed, {baseline} said {before}"
    said = f"{candidate} said {after}, {baseline} {before}" if after is not None else f"{candidate} lost"
    if compared.binary:
        return f"{name}{truth}: {said}"
    losses = f"{compared.candidate[i]:.4g} against {compared.baseline[i]:.4g}"
    return f"{name}{truth}: {said}; {_noun(compared)} {losses}"


def _slice(compared: Compared, found: Slice) -> str:
    name = f"{found.name} ({count(found.rows)} rows)"
    p = f"p {found.p_value:.2g}"
    if compared.measure is Measure.LATENCY:
        values = seconds(found.candidate), seconds(found.baseline)
        return f"{name}: {values[0]} against {values[1]}, {p}"
    if compared.binary:
        points = (found.candidate - found.baseline) * 100
        wrong = percent(found.candidate), percent(found.baseline)
        return f"{name}: wrong on {wrong[0]} against {wrong[1]}, {points:+.1f} pp, {p}"
    return f"{name}: mean {_noun(compared)} {found.candidate:.4g} against {found.baseline:.4g}, {p}"


def _noun(compared: Compared) -> str:
    return {
        Measure.SCORE: "loss (1 - score)",
        Measure.ABSOLUTE_ERROR: "absolute error",
        Measure.SQUARED_ERROR: "squared error",
        Measure.LATENCY: "median latency",
    }[compared.measure]


def _target(dataset: Table | None, target: str | None, row: int) -> str | None:
    if dataset is None or target is None or target not in dataset.column_names or row >= dataset.num_rows:
        return None
    return texts(dataset, target)[row]
