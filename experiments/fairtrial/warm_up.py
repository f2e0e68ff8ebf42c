"""Where the warm-up ends, found from the first latencies: for experiments that say `warmUp: auto`."""

from __future__ import annotations

import numpy as np

from fairtrial.evidence.arrow import Tabular, floats, record_batches
from fairtrial.judge.spec import JudgeSpec
from fairtrial.stats.score import FloatArray
from fairtrial.stats.warm_up import mser_cut

#: Time batches that are looked at. At most half of them can be warm-up.
WINDOW = 60
_CLEARLY = 4.0  # standard errors


class WarmUpFinder:
    """Feed it observations in the order of the stream, until it has seen enough."""

    def __init__(self, spec: JudgeSpec) -> None:
        self._length = spec.batch_seconds
        self._origin: float | None = None
        self._latest = -np.inf
        self._times: list[FloatArray] = []
        self._latencies: list[FloatArray] = []

    @property
    def enough(self) -> bool:
        """Whether the window is over, and the next batch as well: what came late is in by then."""
        return self._origin is not None and self._latest >= self._origin + (WINDOW + 1) * self._length

    def feed(self, observations: Tabular) -> None:
        """Note when requests were meant to be sent, and how long they took."""
        for batch in record_batches(observations):
            time, latency = floats(batch, "time"), floats(batch, "latency")
            if time is None or latency is None:
                continue
            use = np.isfinite(time) & np.isfinite(latency) & (latency > 0)
            if not use.any():
                continue
            if self._origin is None:
                self._origin = float(time[use][0])
            self._latest = max(self._latest, float(time[use].max()))
            self._times.append(time[use])
            self._latencies.append(latency[use])

    def seconds(self) -> float:
        """Length of the warm-up, in whole time batches; 0 where there is none to be seen.

        MSER on the batches' means of log latency: the logarithm keeps one slow request from being taken for
        a slow start. Both arms are pooled, so that the cut knows nothing of their difference.
        """
        if self._origin is None:
            return 0.0
        time, latency = np.concatenate(self._times), np.concatenate(self._latencies)
        batch = np.floor((time - self._origin) / self._length)
        inside = (batch >= 0) & (batch < WINDOW)
        number, log_latency = batch[inside].astype(np.int64), np.log(latency[inside])
        sizes = np.bincount(number).astype(np.float64)
        sums = np.bincount(number, log_latency)
        seen = sizes > 0
        means, weights = sums[seen] / sizes[seen], sizes[seen]
        cut = mser_cut(means, weights)
        if not cut or not _clearly_apart(means, weights, cut):
            return 0.0
        return float(np.flatnonzero(seen)[cut] * self._length)


def _clearly_apart(means: FloatArray, weights: FloatArray, cut: int) -> bool:
    """Whether what would be cut differs from the rest: MSER alone cuts some of a steady series too."""
    early, late = (np.average(means[part], weights=weights[part]) for part in (slice(cut), slice(cut, None)))
    spread = np.average((means[cut:] - late) ** 2, weights=weights[cut:])
    error = np.sqrt(spread * (1 / cut + 1 / (means.size - cut)))
    return bool(abs(early - late) > _CLEARLY * error)
