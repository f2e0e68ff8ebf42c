"""What the judge weighs: summaries of observations that merge by addition.

Pure data on numpy. `fairtrial.evidence` builds it from observations; anything else that can count
(a collector, a histogram in a metrics store) may build it too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from fairtrial.judge.spec import JudgeSpec

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]
_Number = TypeVar("_Number", np.int64, np.float64)


class Stratum(NamedTuple):
    """Observations are compared only within one: the same split, at about the same time."""

    segment: str | None  # None: sent straight to an arm
    batch: int  # number of the time batch since the origin


class Exclusion(StrEnum):
    """Why an observation, or one value of it, was kept out (or is worth a note)."""

    NO_TIME = "noTime"
    CLOCK_BACKWARDS = "clockBackwards"
    UNKNOWN_ARM = "unknownArm"
    DUPLICATE = "duplicate"
    DUPLICATE_HALF = "duplicateHalf"
    WARM_UP = "warmUp"
    UNUSABLE_VALUE = "unusableValue"  # NaN, infinite, negative latency, not 0 or 1 where binary
    FAILED = "failed"  # no value to be had from a failed request (means only)
    UNNUMBERED_ROW = "unnumberedRow"  # counted all the same, each as a row of its own
    ABSENT_VALUE = "absentValue"  # answered, but null: no label, say
    SWITCHED_UNIT = "switchedUnit"  # a unit seen on two arms, of which the first counts


class Excluded(NamedTuple):
    """What was counted: the reason, and the metric and arm it concerns ("" where it concerns none)."""

    reason: Exclusion
    metric: str = ""
    arm: str = ""


@dataclass
class Evidence:
    """All that is known at a look. Axes: stratum S, arm A (baseline first), candidate C = A - 1.

    Tables are keyed by the metric's name. Rows of S follow `strata`, in order of first appearance.
    """

    arms: tuple[str, ...]
    origin: float | None = None  # time of batch 0, seconds since the epoch
    latest: float | None = None  # largest intended time seen
    strata: tuple[Stratum, ...] = ()
    requests: IntArray = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """[S, A] requests, answered or not, after the warm-up."""
    errors: IntArray = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """[S, A] of them, those with status 0 or >= 400."""
    latencies: IntArray = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """[A, bucket] finite latencies of answered requests, in the buckets of `reporting_buckets`."""
    binary: dict[str, IntArray] = field(default_factory=dict[str, IntArray])
    """[S, A, 2]: observations, and those of them with value 1."""
    moments: dict[str, FloatArray] = field(default_factory=dict[str, FloatArray])
    """[S, A, 4]: n, mean, M2 and M3 (sums of squares and of cubes about the mean)."""
    uncapped: dict[str, FloatArray] = field(default_factory=dict[str, FloatArray])
    """Of metrics with a cap, the table before it was applied: as in `moments`, `joint` or `pair_moments`,
    wherever the metric is."""
    counts: dict[str, IntArray] = field(default_factory=dict[str, IntArray])
    """[S, A, 2]: observations (units, where the metric is by unit), and the events of all of them."""
    joint: dict[str, FloatArray] = field(default_factory=dict[str, FloatArray])
    """[S, A, 1 + k + k (k + 1) / 2] moments of k variables: n, the k means, the k sums of squares about them,
    and the sums of their products (01, 02, 12). n counts requests; units where the metric
    is by unit, each in the stratum where it was first seen. The variables are the numerator, then the
    denominator (the number of requests, for a mean or a proportion by unit), or of a mean with a covariate
    by request the value alone; then the covariate, if any."""
    histograms: dict[str, IntArray] = field(default_factory=dict[str, IntArray])
    """[S, A, bucket] in the metric's `quantile_buckets`; a failed request is in the last, as +inf."""
    pair_tables: dict[str, IntArray] = field(default_factory=dict[str, IntArray])
    """[S, C, 4]: pairs by (baseline, candidate) value: 11, 10, 01, 00."""
    pair_moments: dict[str, FloatArray] = field(default_factory=dict[str, FloatArray])
    """[S, C, 6]: n, both means, both M2, and the sum of cross-products about the means."""
    units: dict[str, IntArray] = field(default_factory=dict[str, IntArray])
    """Segment -> [A] units (requests, where no unit is known) that the split newly assigned to each arm."""
    missing_halves: IntArray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    """[C, 2] pairs that lack the baseline's half, and the candidate's, long after the other came."""
    excluded: Counter[Excluded] = field(default_factory=Counter[Excluded])
    reference: tuple[float, ...] = ()
    """Seconds of the fixed computation that tells the machine's speed, in order of time."""
    weaknesses: tuple[str, ...] = ()
    """What makes the source weaker than single observations would be, a sentence each."""

    @classmethod
    def empty(cls, spec: JudgeSpec) -> Evidence:
        """Evidence of nothing, with the arms of the spec."""
        arms = arms_of(spec)
        return cls(
            arms=arms,
            requests=np.zeros((0, len(arms)), np.int64),
            errors=np.zeros((0, len(arms)), np.int64),
            missing_halves=np.zeros((len(arms) - 1, 2), np.int64),
        )

    def arm(self, name: str) -> int:
        """Position of an arm on the axis A. Raises ValueError if it is not one of them."""
        return self.arms.index(name)


def arms_of(spec: JudgeSpec) -> tuple[str, ...]:
    """The axis A: the baseline, then the candidates as the spec has them."""
    return (spec.baseline, *spec.candidates)


def merge(first: Evidence, second: Evidence) -> Evidence:
    """Evidence of both: counts and buckets exactly, moments to rounding (Chan, Golub, LeVeque 1983).

    Addition cannot see that a row or a pair is in both: split observations so that none is, or merge
    the builders, which can (`fairtrial.evidence.builder`).
    Raises ValueError if the arms or the origins differ.
    """
    if first.arms != second.arms:
        raise ValueError(f"evidence on {first.arms} cannot be merged with evidence on {second.arms}")
    if first.origin is not None and second.origin is not None and first.origin != second.origin:
        raise ValueError("evidence with different origins of time cannot be merged")
    strata = tuple(dict.fromkeys((*first.strata, *second.strata)))
    place = {stratum: i for i, stratum in enumerate(strata)}
    rows = [[place[stratum] for stratum in part.strata] for part in (first, second)]
    size = len(strata)

    def counts(a: IntArray, b: IntArray) -> IntArray:
        total = np.zeros((size, *_trailing(a, b)), np.int64)
        for part, at in zip((a, b), rows, strict=True):
            if part.size:
                total[at] += part
        return total

    def moments(a: FloatArray, b: FloatArray) -> FloatArray:
        spread = np.zeros((2, size, *_trailing(a, b)))
        for side, (part, at) in enumerate(zip((a, b), rows, strict=True)):
            if part.size:
                spread[side, at] = part
        return add_moments(spread[0], spread[1])

    return Evidence(
        arms=first.arms,
        origin=first.origin if first.origin is not None else second.origin,
        latest=max((t for t in (first.latest, second.latest) if t is not None), default=None),
        strata=strata,
        requests=counts(first.requests, second.requests),
        errors=counts(first.errors, second.errors),
        latencies=_sum(first.latencies, second.latencies),
        binary=_both(first.binary, second.binary, counts),
        moments=_both(first.moments, second.moments, moments),
        uncapped=_both(first.uncapped, second.uncapped, moments),
        counts=_both(first.counts, second.counts, counts),
        joint=_both(first.joint, second.joint, moments),
        histograms=_both(first.histograms, second.histograms, counts),
        pair_tables=_both(first.pair_tables, second.pair_tables, counts),
        pair_moments=_both(first.pair_moments, second.pair_moments, moments),
        units=_both(first.units, second.units, _sum),
        missing_halves=_sum(first.missing_halves, second.missing_halves),
        excluded=first.excluded + second.excluded,
        reference=(*first.reference, *second.reference),
        weaknesses=tuple(dict.fromkeys((*first.weaknesses, *second.weaknesses))),
    )


def until(evidence: Evidence, batch: int) -> Evidence:
    """What was known before time batch number `batch` began.

    What knows no batches (latencies for reports, units, what was excluded) stays whole.
    """
    rows = np.flatnonzero([stratum.batch < batch for stratum in evidence.strata])

    def kept(tables: dict[str, npt.NDArray[_Number]]) -> dict[str, npt.NDArray[_Number]]:
        return {name: table[rows] for name, table in tables.items()}

    return replace(
        evidence,
        strata=tuple(evidence.strata[row] for row in rows.tolist()),
        requests=evidence.requests[rows],
        errors=evidence.errors[rows],
        binary=kept(evidence.binary),
        moments=kept(evidence.moments),
        uncapped=kept(evidence.uncapped),
        counts=kept(evidence.counts),
        joint=kept(evidence.joint),
        histograms=kept(evidence.histograms),
        pair_tables=kept(evidence.pair_tables),
        pair_moments=kept(evidence.pair_moments),
    )


#: Number of variables by the length of their moments: 4 for one, else 1 + k + k (k + 1) / 2.
_VARIABLES = {4: 1, 6: 2, 10: 3}


def add_moments(a: FloatArray, b: FloatArray) -> FloatArray:
    """Moments of two disjoint samples of 1 to 3 variables together; [..., 4], [..., 6] or [..., 10].

    In the order of `Evidence.joint`: n, means, sums of squares, sums of products; of one variable n, mean,
    sum of squares and sum of cubes (Pebay, 2008).
    """
    variables = _VARIABLES[a.shape[-1]]
    n_a, n_b = a[..., :1], b[..., :1]
    n = n_a + n_b
    share = np.divide(n_b, n, out=np.zeros_like(n), where=n > 0)
    means_a, means_b = a[..., 1 : 1 + variables], b[..., 1 : 1 + variables]
    delta = means_b - means_a
    # Where one side is empty its mean of 0 must leave no trace in the sums of squares: the weight is 0 there.
    weight = n_a * share
    if variables == 1:
        square = a[..., 2:3] + b[..., 2:3] + weight * delta**2
        apart = weight * (1 - 2 * share) * delta**3
        tilt = 3 * delta * ((1 - share) * b[..., 2:3] - share * a[..., 2:3])
        cube = a[..., 3:4] + b[..., 3:4] + apart + tilt
        return np.concatenate([n, means_a + share * delta, square, cube], axis=-1)
    first, second = np.triu_indices(variables, 1)
    products = np.concatenate([delta * delta, delta[..., first] * delta[..., second]], axis=-1)
    squares = a[..., 1 + variables :] + b[..., 1 + variables :] + weight * products
    return np.concatenate([n, means_a + share * delta, squares], axis=-1)


def _trailing(*parts: npt.NDArray[np.generic]) -> tuple[int, ...]:
    """Shape after the stratum axis; an empty table does not know it."""
    return next((part.shape[1:] for part in parts if part.size), parts[0].shape[1:])


def _sum(a: IntArray, b: IntArray) -> IntArray:
    if not a.size or not b.size:
        return (a if a.size else b).copy()
    return a + b


def _both(
    first: dict[str, npt.NDArray[_Number]],
    second: dict[str, npt.NDArray[_Number]],
    add: Callable[[npt.NDArray[_Number], npt.NDArray[_Number]], npt.NDArray[_Number]],
) -> dict[str, npt.NDArray[_Number]]:
    merged: dict[str, npt.NDArray[_Number]] = {}
    for name in dict.fromkeys((*first, *second)):
        a, b = first.get(name), second.get(name)
        some = a if a is not None else second[name]
        nothing = np.zeros((0, *some.shape[1:]), some.dtype)
        merged[name] = add(nothing if a is None else a, nothing if b is None else b)
    return merged
