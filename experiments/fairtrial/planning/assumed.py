"""What is taken for granted of a metric before anything was observed, as evidence of it.

A plan needs a base rate, a spread, how often two models disagree. Until a run has shown them these are
typical figures, each told to the user, who replaces them by pointing at recorded observations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from fairtrial.judge.evidence import Evidence, Stratum, arms_of
from fairtrial.judge.geometry import quantile_buckets
from fairtrial.judge.spec import JudgeSpec, Kind, MetricSpec

#: Observations of the assumed evidence, an arm: large enough that rounding to whole ones does not show.
_SIZE = 1_000_000
_RATES = {"score": 0.9, "error": 0.01}
_RATE = 0.05  # of any other yes or no
_DISAGREEMENT = 0.6  # of the rarer answers, the share on which the two models differ
_LATENCY, _SHAPE = 0.02, 0.5  # seconds at the median, and the spread of its logarithm
_VARIATION = 1.0  # standard deviation over mean of any other quantity
_CORRELATION = 0.8  # of paired values
_EVENTS = 0.1  # a request


@dataclass(frozen=True)
class Assumed:
    """Evidence of one metric, and what it assumes in words; None where nothing sensible can be said."""

    evidence: Evidence | None
    words: str


def assumed(spec: JudgeSpec, metric: MetricSpec) -> Assumed:
    """Both arms alike, by the typical figures above."""
    evidence = Evidence.empty(spec)
    evidence.strata = (Stratum(None, 0),)
    arms = len(arms_of(spec))
    if metric.kind is not Kind.BINARY and metric.kind is not Kind.QUANTILE and not metric.margin.relative:
        is_latency = metric.column == "latency"
        if not is_latency and metric.kind is not Kind.COUNT:
            return Assumed(None, "its spread is not known")
    match metric.kind:
        case Kind.BINARY:
            words = _binary(evidence, metric, arms)
        case Kind.QUANTILE:
            words = _quantile(evidence, metric, arms)
        case Kind.COUNT:
            evidence.counts[metric.name] = np.tile(np.array([_SIZE, int(_EVENTS * _SIZE)]), (1, arms, 1))
            words = f"{_EVENTS:g} a request"
        case Kind.MEAN | Kind.RATIO:
            words = _mean(evidence, metric, arms)
    return Assumed(evidence, words)


def _binary(evidence: Evidence, metric: MetricSpec, arms: int) -> str:
    rate = _RATES.get(metric.column, _RATE)
    rarer = min(rate, 1 - rate)
    differ = rarer * _DISAGREEMENT
    cells = np.array([rate - differ / 2, differ / 2, differ / 2, 1 - rate - differ / 2]) * _SIZE
    if metric.by_unit:
        evidence.joint[metric.name] = _by_unit(rate, rate * (1 - rate), arms)
    elif metric.paired:
        evidence.pair_tables[metric.name] = np.tile(np.round(cells).astype(np.int64), (1, arms - 1, 1))
    else:
        evidence.binary[metric.name] = np.tile(np.array([_SIZE, round(rate * _SIZE)]), (1, arms, 1))
    paired = f", the arms differing on {differ:.1%} of rows" if metric.paired else ""
    return f"a rate of {rate:.0%}{paired}"


def _quantile(evidence: Evidence, metric: MetricSpec, arms: int) -> str:
    buckets = quantile_buckets(metric)
    below = ndtr((np.log(buckets.edges) - np.log(_LATENCY)) / _SHAPE)
    counts = np.round(np.diff(np.concatenate([[0.0], below, [1.0]])) * _SIZE).astype(np.int64)
    evidence.histograms[metric.name] = np.tile(counts, (1, arms, 1))
    return f"log-normal with a median of {_LATENCY * 1e3:g} ms and a log-deviation of {_SHAPE:g}"


def _mean(evidence: Evidence, metric: MetricSpec, arms: int) -> str:
    mean = _LATENCY if metric.column == "latency" else 1.0
    deviation = mean * (_SHAPE if metric.column == "latency" else _VARIATION)
    squares = deviation**2 * _SIZE
    words = f"a standard deviation of {deviation / mean:.0%} of the mean"
    if metric.paired:
        cross = squares * _CORRELATION
        row = np.array([_SIZE, mean, mean, squares, squares, cross])
        evidence.pair_moments[metric.name] = np.tile(row, (1, arms - 1, 1))
        return f"{words}, and a correlation of {_CORRELATION:g} between the arms"
    if metric.by_unit or metric.kind is Kind.RATIO:
        evidence.joint[metric.name] = _by_unit(mean, deviation**2, arms)
    elif metric.covariate:
        evidence.joint[metric.name] = np.tile(np.array([_SIZE, mean, 0.0, squares, 1.0, 0.0]), (1, arms, 1))
    else:
        evidence.moments[metric.name] = np.tile(np.array([_SIZE, mean, squares, 0.0]), (1, arms, 1))
        if metric.cap is not None:
            evidence.uncapped[metric.name] = evidence.moments[metric.name]
    return words


def _by_unit(mean: float, variance: float, arms: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """One request a unit."""
    return np.tile(np.array([_SIZE, mean, 1.0, variance * _SIZE, 0.0, 0.0]), (1, arms, 1))
