"""The rows on which the candidate loses to the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from fairtrial.report.columns import Floats, Table, Texts, numbers, texts

Integers = npt.NDArray[np.int64]


class Measure(Enum):
    """What the arms are compared by on a row; the value is the observations' column."""

    SCORE = "score"
    ABSOLUTE_ERROR = "absoluteError"
    SQUARED_ERROR = "squaredError"
    LATENCY = "latency"


@dataclass(frozen=True)
class Compared:
    """Rows that both arms answered, one entry a row, in order of the row's number."""

    measure: Measure
    row: Integers
    baseline: Floats  # loss: 1 - score, the error, or the median latency in seconds
    candidate: Floats
    predictions: tuple[Texts, Texts]  # baseline's, candidate's

    @property
    def difference(self) -> Floats:
        """How much more the candidate loses on each row."""
        return self.candidate - self.baseline

    @property
    def binary(self) -> bool:
        """Whether a loss is right or wrong, and nothing between."""
        values = np.concatenate([self.baseline, self.candidate])
        return self.measure is Measure.SCORE and bool(np.isin(values, (0.0, 1.0)).all())


def compare(observations: Table, baseline: str, candidate: str) -> Compared | None:
    """Compare two arms row by row, by the first measure that the observations have.

    A row's score counts once, the first time it was answered; of latencies the median counts. A failed
    request is a wrong answer where there are scores, and says nothing where there are errors or latencies.
    None when no row was answered by both.
    """
    for measure in Measure:
        if not np.isfinite(numbers(observations, measure.value)).any():
            continue
        sides = [_losses(observations, arm, measure) for arm in (baseline, candidate)]
        row, left, right = np.intersect1d(sides[0].row, sides[1].row, return_indices=True)
        if row.size:
            said = ([sides[0].prediction[i] for i in left], [sides[1].prediction[i] for i in right])
            return Compared(measure, row, sides[0].loss[left], sides[1].loss[right], said)
    return None


@dataclass(frozen=True)
class _Losses:
    row: Integers  # unique, ascending
    loss: Floats
    prediction: Texts


def _losses(observations: Table, arm: str, measure: Measure) -> _Losses:
    row, status = numbers(observations, "row"), numbers(observations, "status")
    loss = numbers(observations, measure.value)
    answered = (status >= 200) & (status < 400)
    if measure is Measure.SCORE:
        loss = np.where(answered, 1 - loss, 1.0)
    ours = np.array([name == arm for name in texts(observations, "arm")], dtype=bool)
    known = ours & np.isfinite(row) & np.isfinite(loss) & (answered | (measure is Measure.SCORE))
    order = np.lexsort((numbers(observations, "time"), row))
    chosen = order[known[order]]
    unique, first = np.unique(row[chosen].astype(np.int64), return_index=True)
    merged: Floats = loss[chosen][first]
    if measure is Measure.LATENCY and unique.size:
        merged = np.array([np.median(group) for group in np.split(loss[chosen], first[1:])])
    said = texts(observations, "prediction")
    return _Losses(unique, merged, [said[i] for i in chosen[first]])
