"""Which values a metric finds in observations, and what it cannot use of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairtrial.evidence.arrow import BoolArray, FloatArray, Numbers, not_null
from fairtrial.evidence.chunk import Chunk
from fairtrial.evidence.tally import Tally
from fairtrial.judge.evidence import Exclusion
from fairtrial.judge.spec import Kind, MetricSpec

#: A failed request has no such value, and none that is the worst.
_OF_ANSWERS = (Kind.MEAN, Kind.RATIO, Kind.COUNT)
#: Counts up to this are summed exactly, a chunk at a time, by floats.
_MOST_EVENTS = 2.0**36


@dataclass(frozen=True)
class Reading:
    """The values of n observations; `values[use]` are those that count, all of them if `use` is None.

    The columns of `values` [n, 1 to 3] are the numerator, the denominator of a ratio, and the covariate,
    where the metric has them.
    """

    values: FloatArray
    use: BoolArray | None


def columns_of(metric: MetricSpec) -> tuple[str, ...]:
    """The columns of observations that a metric is read from, beside the required ones."""
    named = (metric.column if metric.column != "error" else None, metric.denominator, metric.covariate)
    return tuple(name for name in named if name is not None)


def read(metric: MetricSpec, chunk: Chunk, tally: Tally) -> Reading:
    """The metric's values; what is left out is counted in `tally`.

    A failed request has the worst value there is: wrong, too slow, or infinitely slow. No mean can hold
    an infinite value, so that means, ratios and counts cover answered requests only.
    """
    of_answers = metric.kind in _OF_ANSWERS and metric.column != "error"
    if metric.column == "error":
        first, use = chunk.has_failed.astype(np.float64), None
    else:
        column = chunk.numbers(metric.column)
        first, use = column.values, _usable(metric, column)
        if metric.slo is not None:
            first = (first > metric.slo).astype(np.float64)
    values = [first]
    unusable = [] if use is None else [(metric.column, use)]
    for name in (metric.denominator, metric.covariate):
        if name is not None:
            column = chunk.numbers(name)
            values.append(column.values)
            if not _all_finite(column.values):
                unusable.append((name, np.isfinite(column.values)))
    if not of_answers and chunk.failed.size and metric.column != "error":
        values[0] = first.copy()
        values[0][chunk.failed] = _worst(metric)
        # The value of a failed request is known without its column.
        unusable = [(name, ok | chunk.has_failed if name == metric.column else ok) for name, ok in unusable]
    use = _together(metric, chunk, unusable, tally, of_answers=of_answers)
    if of_answers and chunk.failed.size:
        tally.count_by_arm(Exclusion.FAILED, chunk.arm[chunk.failed], metric=metric.name)
        use = ~chunk.has_failed if use is None else use & ~chunk.has_failed
    return Reading(values[0][:, None] if len(values) == 1 else np.stack(values, axis=-1), use)


def _together(
    metric: MetricSpec, chunk: Chunk, usable: list[tuple[str, BoolArray]], tally: Tally, *, of_answers: bool
) -> BoolArray | None:
    """Where each of the metric's columns can be used; what cannot is counted once an observation."""
    unknown_unit = metric.by_unit and not chunk.unit.known.all()
    if not usable and not unknown_unit:
        return None
    strange = np.zeros(chunk.size, np.bool_)
    use = chunk.unit.known.copy() if unknown_unit else np.ones(chunk.size, np.bool_)
    for name, ok in usable:
        use &= ok
        if name in chunk.batch.schema.names:
            strange |= ~ok & not_null(chunk.batch, name)
    without = ~use & ~chunk.has_failed if of_answers else ~use
    tally.count_by_arm(Exclusion.UNUSABLE_VALUE, chunk.arm[without & strange], metric=metric.name)
    tally.count_by_arm(Exclusion.ABSENT_VALUE, chunk.arm[without & ~strange], metric=metric.name)
    return use


def _usable(metric: MetricSpec, column: Numbers) -> BoolArray | None:
    """[n] the values of the numerator's column that the metric can use; None if all of them are."""
    values = column.values
    positive = metric.kind is Kind.QUANTILE or metric.slo is not None or metric.column == "latency"
    if metric.kind is Kind.BINARY and metric.slo is None:
        usable = (values == 0) | (values == 1)
    elif metric.kind is Kind.COUNT:
        usable = (values >= 0) & (values <= _MOST_EVENTS) & (values == np.floor(values))
    elif _all_finite(values) and not (positive and values.size and values.min() < 0):
        return None
    else:
        usable = np.isfinite(values) & (values >= 0) if positive else np.isfinite(values)
    return None if usable.all() else usable


def _all_finite(values: FloatArray) -> bool:
    """Without looking at each: a NaN would be the smallest and the largest."""
    return not values.size or bool(np.isfinite(values.min()) and np.isfinite(values.max()))


def _worst(metric: MetricSpec) -> float:
    if metric.slo is not None:
        return 1.0
    if metric.higher_is_better:
        return 0.0
    return 1.0 if metric.kind is Kind.BINARY else np.inf
