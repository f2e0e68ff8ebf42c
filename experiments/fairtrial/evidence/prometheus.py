"""The answer of a Prometheus server to a range query for a histogram's buckets, saved as JSON."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fairtrial.errors import UsageError
from fairtrial.evidence.arrow import FloatArray
from fairtrial.evidence.histogram import HistogramSeries

#: Labels that say which arm a series is of: ours, and those of Seldon's executor.
_ARM_LABELS = ("arm", "predictor_name")
_FIRST_ERROR = 400


def read_range_answer(path: Path) -> list[HistogramSeries]:
    """The histogram of each arm, summed over all other labels.

    The file holds what `/api/v1/query_range` answers for `<name>_bucket`: a matrix whose series have the
    labels `le` and `arm` (or `predictor_name`), and `code`, the HTTP status, where failures are to be told.
    Raises UsageError for anything else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as JSON: {error}") from error
    by_arm: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    try:
        if document["status"] != "success" or document["data"]["resultType"] != "matrix":
            raise UsageError(f"{path}: Prometheus answered no matrix; ask /api/v1/query_range")
        for each in document["data"]["result"]:
            by_arm[_arm(each["metric"], path)].append(each)
        return [_series(arm, parts) for arm, parts in by_arm.items()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path} is no answer of Prometheus to a range query: {error!r}") from error


def _arm(labels: Mapping[str, str], path: Path) -> str:
    if "le" not in labels:
        raise UsageError(f"{path}: a series without the label le; ask for <name>_bucket")
    for label in _ARM_LABELS:
        if label in labels:
            return labels[label]
    raise UsageError(f"{path}: a series without a label {' or '.join(_ARM_LABELS)}, to tell its arm by")


def _series(arm: str, parts: Sequence[Mapping[str, Any]]) -> HistogramSeries:
    time = np.array(sorted({float(at) for part in parts for at, _ in part["values"]}))
    edges = sorted({float(part["metric"]["le"]) for part in parts} | {math.inf})
    counts = np.zeros((time.size, len(edges)))
    errors = np.zeros(time.size)
    known = False
    for part in parts:
        values = _filled(time, part["values"])
        edge = float(part["metric"]["le"])
        counts[:, edges.index(edge)] += values
        code = part["metric"].get("code")
        if code is not None and edge == math.inf:
            known = True
            errors += values if int(code) >= _FIRST_ERROR else 0.0
    return HistogramSeries(arm, time, np.array(edges), counts, errors if known else None)


def _filled(time: FloatArray, values: Iterable[tuple[float, str]]) -> FloatArray:
    """A counter at all times: 0 before it is first seen, its last value where a scrape is missing."""
    at, seen = (np.array(column, np.float64) for column in zip(*values, strict=True))
    place = np.searchsorted(at, time, side="right")
    return np.where(place > 0, seen[np.maximum(place - 1, 0)], 0.0)
