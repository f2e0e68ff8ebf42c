"""How far the sending falls behind the schedule: a histogram of constant size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_LEAST, _MOST, _GROWTH = 1e-6, 1e3, 1.02  # seconds, seconds, ratio of neighbouring edges
BEHIND = 0.02  # seconds at the 99th percentile that make latencies tell of the generator, not of the servers
_BUCKETS = math.ceil(math.log(_MOST / _LEAST) / math.log(_GROWTH))


class LagHistogram:
    """Counts lags in seconds; quantiles are right to 2%. Unsent requests (NaN) are left out."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS + 1, dtype=np.int64)

    def add(self, lags: NDArray[np.float64]) -> None:
        sent = lags[~np.isnan(lags)]
        places = np.log(np.clip(sent, _LEAST, _MOST) / _LEAST) / math.log(_GROWTH)
        self._counts += np.bincount(places.astype(np.int64), minlength=_BUCKETS + 1)

    def quantile(self, q: float) -> float | None:
        """The q-quantile in seconds (upper edge of its bucket); None before there is any."""
        total = int(self._counts.sum())
        if total == 0:
            return None
        place = int(np.searchsorted(np.cumsum(self._counts), q * total))
        return _LEAST * _GROWTH ** (place + 1)

    def sentence(self) -> str | None:
        """What is to be said when the sending fell behind; None while it kept its schedule."""
        p99 = self.quantile(0.99)
        if p99 is None or p99 <= BEHIND:
            return None
        return (
            f"The load fell behind its schedule: 1% of the requests left {p99 * 1000:.0f} ms late or more, "
            "and all latencies contain that. Send less, or load from more processes or machines."
        )
