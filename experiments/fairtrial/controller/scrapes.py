"""Requests as cumulative histograms tell of them: what came between two scrapes, as observations. Pure.

Of a request it is known only between which two edges its latency was, and between which two scrapes it ended.
It is given the latency that it has if those of its bucket are spread evenly, as `histogram_quantile` takes
them to be, and the time of the later scrape. What is slower than the last finite edge has twice that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from fairtrial.collect.columns import LIVE_SCHEMA
from fairtrial.evidence.arrow import FloatArray, Tabular

#: Labels that say which arm a series is of: ours, and those of Seldon's executor.
ARM_LABELS = ("arm", "predictor_name")
_ANSWERED, _FAILED = 200, 500
_SLOWEST = 2.0  # times the last finite edge
#: What names one bucket of one process: its labels.
Labels: TypeAlias = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Scrapes:
    """Counters of buckets at some moments; NaN where a process was not seen."""

    moments: FloatArray  # [T] seconds since the epoch, in order
    buckets: Mapping[Labels, FloatArray]  # [T]
    before: Mapping[Labels, float]  # what each had last counted before the first of them


def edges_of(labels: Iterable[Labels]) -> list[float]:
    """The finite edges that buckets have, in order."""
    found = {float(dict(each)["le"]) for each in labels if "le" in dict(each)}
    return sorted(edge for edge in found if edge != float("inf"))


def observations_of(scrapes: Scrapes) -> Tabular:
    """A table with the columns of live observations, in order of time; `sequence` is it in milliseconds.

    Series without an arm or an edge are left out. A counter that is lower than before was begun anew, and one
    that was never seen began at 0.
    """
    histograms: dict[Labels, dict[float, Labels]] = {}
    for labels in scrapes.buckets:
        said = dict(labels)
        if "le" in said and any(label in said for label in ARM_LABELS):
            rest = frozenset((name, value) for name, value in labels if name != "le")
            histograms.setdefault(rest, {})[float(said["le"])] = labels
    pieces = [_of_histogram(scrapes, dict(rest), by_edge) for rest, by_edge in histograms.items()]
    rows = [piece for piece in pieces if piece is not None]
    if not rows:
        return LIVE_SCHEMA.empty_table()
    table = pa.concat_tables(rows)
    return table.sort_by([("sequence", "ascending"), ("arm", "ascending"), ("status", "ascending")])


def _of_histogram(
    scrapes: Scrapes, labels: Mapping[str, str], by_edge: Mapping[float, Labels]
) -> Tabular | None:
    edges = sorted(by_edge)
    counters = np.stack([_filled(scrapes, by_edge[edge]) for edge in edges], axis=-1)  # [1 + T, B]
    new = np.diff(counters, axis=0)
    reset = new[:, -1] < 0
    new = np.where(reset[:, None], counters[1:], new)
    # Scraped while it counts, a process may have a bucket that is behind the one below it.
    cumulative = np.maximum.accumulate(np.maximum(new, 0.0), axis=-1)
    counts = np.rint(np.diff(cumulative, axis=-1, prepend=0.0)).astype(np.int64)
    if not counts.any():
        return None
    arm = next(labels[label] for label in ARM_LABELS if label in labels)
    latency = np.concatenate([_spread(row, edges) for row in counts])
    time = np.repeat(scrapes.moments, counts.sum(axis=-1))
    columns: dict[str, Any] = {
        "arm": [arm] * time.size,
        "time": time,
        "latency": latency,
        "status": np.full(time.size, _status(labels.get("code"))),
        "sequence": np.rint(time * 1000).astype(np.int64),
    }
    return pa.Table.from_pydict(
        {name: columns.get(name, pa.nulls(time.size)) for name in LIVE_SCHEMA.names}, schema=LIVE_SCHEMA
    )


def _filled(scrapes: Scrapes, labels: Labels) -> FloatArray:
    """[1 + T] the counter before and at each moment: where it was not seen, as it was last."""
    seen = np.concatenate([[scrapes.before.get(labels, 0.0)], scrapes.buckets[labels]])
    known = np.maximum.accumulate(np.where(np.isnan(seen), 0, np.arange(seen.size)))
    return seen[known]


def _spread(counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]], edges: Sequence[float]) -> FloatArray:
    """The latencies of requests in buckets, as many as there are in each."""
    finite = [edge for edge in edges if edge != float("inf")]
    slowest = _SLOWEST * finite[-1] if finite else 0.0
    made = [np.zeros(0)]
    for count, low, high in zip(counts.tolist(), [0.0, *edges], edges, strict=False):
        if high == float("inf"):
            made.append(np.full(count, slowest))
        else:
            # In the middles of as many parts, so that none lies on an edge.
            made.append(low + (np.arange(count) + 0.5) / max(count, 1) * (high - low))
    return np.concatenate(made)


def _status(code: str | None) -> int:
    if code is None:
        return _ANSWERED
    if code.isdecimal() and len(code) <= 3:
        return int(code)
    return _ANSWERED if code == "OK" else _FAILED  # of gRPC
