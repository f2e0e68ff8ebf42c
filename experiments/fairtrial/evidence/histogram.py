"""Evidence from cumulative histograms, as Prometheus keeps them: a weaker source than observations.

Of a request it is known only between which two edges (`le`) its latency was, and between which two scrapes
it ended. Where the table of a metric is finer than that, requests are spread evenly between the edges, as
`histogram_quantile` does; what is above the last finite edge counts as infinitely slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairtrial.errors import UsageError
from fairtrial.evidence.arrow import FloatArray, Index
from fairtrial.evidence.strata import StratumIndex
from fairtrial.judge.evidence import Evidence, IntArray, Stratum, arms_of
from fairtrial.judge.geometry import check_spec, quantile_buckets, reporting_buckets
from fairtrial.judge.spec import JudgeSpec, Kind, MetricSpec
from fairtrial.stats.buckets import LogBuckets


@dataclass(frozen=True)
class HistogramSeries:
    """Scrapes of one process's histogram of latencies; T of them in order of time, B edges.

    Raises ValueError for shapes that do not match, or edges that do not increase to +inf.
    """

    arm: str
    time: FloatArray  # [T] of the scrape, seconds since the epoch
    edges: FloatArray  # [B] upper edges (`le`), seconds, inclusive; the last is +inf
    counts: FloatArray  # [T, B] requests up to each edge, since the process started
    errors: FloatArray | None = None  # [T] failed requests, since the process started
    segment: str | None = None
    failed_included: bool = True  # whether the histogram has the failed requests too

    def __post_init__(self) -> None:
        if self.counts.shape != (self.time.size, self.edges.size) or not self.edges.size:
            raise ValueError("counts must be [scrapes, edges]")
        if self.errors is not None and self.errors.shape != self.time.shape:
            raise ValueError("errors must be [scrapes]")
        if np.any(np.diff(self.edges) <= 0) or self.edges[-1] != np.inf:
            raise ValueError("edges must increase, and the last must be +inf")
        if np.any(np.diff(self.time) <= 0):
            raise ValueError("scrapes must be in order of time")


@dataclass(frozen=True)
class _Increments:
    """What came between one scrape and the next; T - 1 intervals."""

    stratum: Index
    arm: int
    buckets: IntArray  # [T - 1, B] requests between an edge and the one before
    slower: IntArray  # [T - 1] failed requests that the histogram does not have
    errors: IntArray  # [T - 1]

    @property
    def requests(self) -> IntArray:
        return self.buckets.sum(axis=-1) + self.slower


def evidence_of_histograms(
    spec: JudgeSpec, series: Sequence[HistogramSeries], *, origin: float | None = None
) -> Evidence:
    """Evidence of all the increments after the warm-up, in the stratum of the scrape that ends them.

    origin: time of batch 0, the first scrape by default. Counters that fall were reset: what they have
    counted since then is what came. Raises ValueError if the spec cannot be judged, UsageError for a
    metric that histograms cannot tell.
    """
    check_spec(spec)
    arms = arms_of(spec)
    known = [each for each in series if each.time.size and each.arm in arms]
    if not known:
        return Evidence.empty(spec)
    edges = known[0].edges
    if any(not np.array_equal(each.edges, edges) for each in known):
        raise UsageError("the histograms have different edges (le), so that they cannot be compared")
    start = min(float(each.time[0]) for each in known) if origin is None else origin
    strata = StratumIndex()
    parts = [_increments(each, spec, arms.index(each.arm), start, strata) for each in known]
    evidence = Evidence(
        arms=arms,
        origin=start,
        latest=max(float(each.time[-1]) for each in known),
        strata=tuple(strata.strata),
        missing_halves=np.zeros((len(arms) - 1, 2), np.int64),
        weaknesses=_weaknesses(known, edges),
    )
    shape = (len(strata.strata), len(arms))
    evidence.requests = _summed(shape, parts, [part.requests[:, None] for part in parts])[..., 0]
    evidence.errors = _summed(shape, parts, [part.errors[:, None] for part in parts])[..., 0]
    reporting = reporting_buckets()
    spread = [_spread(part.buckets, edges, reporting) for part in parts]
    evidence.latencies = _summed(shape, parts, spread).sum(axis=0)
    for each, part in zip(known, parts, strict=True):
        if each.segment is not None:
            counts = evidence.units.setdefault(each.segment, np.zeros(len(arms), np.int64))
            counts[part.arm] += part.requests.sum()
    for metric in spec.metrics:
        _write(metric, evidence, parts, known)
    return evidence


def _write(
    metric: MetricSpec, evidence: Evidence, parts: list[_Increments], series: Sequence[HistogramSeries]
) -> None:
    edges, shape = series[0].edges, evidence.requests.shape
    plain = not (metric.paired or metric.once_per_row or metric.by_unit)
    if plain and metric.kind is Kind.BINARY and metric.column == "error":
        if any(each.errors is None for each in series):
            raise UsageError(f"metric {metric.name} needs a counter of failed requests beside the histogram")
        evidence.binary[metric.name] = np.stack([evidence.requests, evidence.errors], axis=-1)
    elif plain and metric.column == "latency" and metric.slo is not None:
        at = np.flatnonzero(np.isclose(edges, metric.slo, rtol=1e-9, atol=0))
        if not at.size:
            raise UsageError(
                f"metric {metric.name}: the histogram has no edge (le) at the SLO of {metric.slo:g} s; "
                f"it has {', '.join(f'{edge:g}' for edge in edges[:-1])}"
            )
        above = [part.buckets[:, at[0] + 1 :].sum(axis=-1) + part.slower for part in parts]
        rows = [np.stack([part.requests, n], axis=-1) for part, n in zip(parts, above, strict=True)]
        evidence.binary[metric.name] = _summed(shape, parts, rows)
    elif plain and metric.column == "latency" and metric.kind is Kind.QUANTILE:
        spread = [_spread(part.buckets, edges, quantile_buckets(metric)) for part in parts]
        for part, rows in zip(parts, spread, strict=True):
            rows[:, -1] += part.slower
        evidence.histograms[metric.name] = _summed(shape, parts, spread)
    else:
        raise UsageError(
            f"metric {metric.name} cannot be told from histograms: they have error rates, quantiles of "
            "latency and exceedances of an SLO, of all requests"
        )


def _increments(
    series: HistogramSeries, spec: JudgeSpec, arm: int, origin: float, strata: StratumIndex
) -> _Increments:
    use = series.time[1:] >= origin + spec.warm_up
    # Scraped while it counts, a process may have a bucket that is behind the one below it.
    cumulative = np.maximum.accumulate(_since_last(series.counts)[use], axis=-1)
    buckets = np.rint(np.diff(cumulative, axis=-1, prepend=0.0)).astype(np.int64)
    none = np.zeros((series.time.size, 1))
    counted = none if series.errors is None else series.errors[:, None]
    errors = np.rint(_since_last(counted)[use, 0]).astype(np.int64)
    if series.failed_included:
        # Two counters are not read at the same instant.
        errors = np.minimum(errors, buckets.sum(axis=-1))
    batch = np.floor((series.time[1:][use] - origin) / spec.batch_seconds).astype(np.int64)
    stratum = [strata.place(Stratum(series.segment, number)) for number in batch.tolist()]
    return _Increments(
        stratum=np.array(stratum, np.int64),
        arm=arm,
        buckets=buckets,
        slower=np.zeros_like(errors) if series.failed_included else errors,
        errors=errors,
    )


def _since_last(counters: FloatArray) -> FloatArray:
    """[T - 1, B] increments of counters [T, B]; all that they have where the last shows a reset."""
    reset = np.diff(counters[:, -1]) < 0
    return np.maximum(np.where(reset[:, None], counters[1:], np.diff(counters, axis=0)), 0.0)


def _spread(counts: IntArray, edges: FloatArray, buckets: LogBuckets) -> IntArray:
    """[T, bucket] the counts [T, B] between edges, spread evenly over the buckets; none is lost."""
    points = np.concatenate([[0.0], edges[:-1]])
    cumulative = np.cumsum(counts, axis=-1)
    below = np.concatenate([np.zeros((len(counts), 1)), cumulative[:, :-1]], axis=-1)
    whole = np.zeros((len(counts), buckets.edges.size), np.int64)
    for row, known in zip(whole, below, strict=True):
        row[:] = np.rint(np.interp(buckets.edges, points, known))
    ends = np.concatenate([np.zeros((len(counts), 1), np.int64), whole, cumulative[:, -1:]], axis=-1)
    return np.diff(ends, axis=-1)


def _summed(shape: tuple[int, ...], parts: Sequence[_Increments], rows: Sequence[IntArray]) -> IntArray:
    table = np.zeros((*shape, rows[0].shape[-1]), np.int64)
    for part, each in zip(parts, rows, strict=True):
        np.add.at(table[:, part.arm], part.stratum, each)
    return table


def _weaknesses(series: Sequence[HistogramSeries], edges: FloatArray) -> tuple[str, ...]:
    finite = edges[:-1]
    told = [
        "The evidence is from histograms, which is weaker than from single requests: latencies are known "
        f"only by {finite.size} edges"
        + (f" from {finite[0]:g} to {finite[-1]:g} s" if finite.size else "")
        + ", between which they are taken to be spread evenly, so that no quantile is known any finer; "
        "slower ones count as infinitely slow."
    ]
    resets = sum(int((np.diff(each.counts[:, -1]) < 0).sum()) for each in series)
    if resets:
        told.append(
            f"Counters were reset {resets} time{'' if resets == 1 else 's'}; what they had counted between "
            "the last scrape and the reset is lost."
        )
    if any(each.failed_included and each.errors is not None for each in series):
        told.append(
            "Failed requests count with the latency that they had, because histograms do not tell them."
        )
    return tuple(told)
