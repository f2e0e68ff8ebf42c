"""Log-spaced buckets for a positive quantity, such as latency in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fairtrial.stats.score import FloatArray

MAX_RELATIVE_ERROR = 0.01
"""A bucket's geometric middle is within this of every value in it."""


@dataclass(frozen=True)
class LogBuckets:
    """Bucket 0 holds values below `low` (0 and negatives too), bucket i the values from
    low ratio^(i-1) up to but excluding low ratio^i, and the last those of `high` and above: +inf, which is a
    failed request, and NaN. `high` is moved up to a whole number of buckets. Choose it above the
    request timeout, so that only failures are in the last bucket.
    """

    ratio: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (self.ratio > 1 and 0 < self.low < self.high < math.inf):
            raise ValueError("buckets need ratio > 1 and 0 < low < high")

    @classmethod
    def for_margin(cls, margin: float, *, relative: bool, low: float, high: float) -> LogBuckets:
        """The widest buckets within the relative error of which a relative `margin` is a whole number.

        Raises ValueError for a relative margin of -1 or less.
        """
        widest = 2 * math.log1p(MAX_RELATIVE_ERROR)
        if not relative or margin == 0:
            return cls(math.exp(widest), low, high)
        if margin <= -1:
            raise ValueError(f"a relative margin must be above -1, got {margin}")
        width = abs(math.log1p(margin))
        return cls(math.exp(width / math.ceil(width / widest)), low, high)

    @property
    def inner(self) -> int:
        """Number of buckets between `low` and `high`."""
        return math.ceil(math.log(self.high / self.low) / math.log(self.ratio) - 1e-9)

    @property
    def count(self) -> int:
        """Number of buckets, the two open ones included."""
        return self.inner + 2

    @property
    def edges(self) -> FloatArray:
        """[count - 1] increasing; edge i separates bucket i from bucket i + 1."""
        return self.low * self.ratio ** np.arange(self.count - 1, dtype=np.float64)

    def index(self, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Bucket of each value, the same shape."""
        return np.searchsorted(self.edges, np.asarray(values, np.float64), side="right").astype(np.int64)

    def counts(self, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """[count] how many of the values are in each bucket."""
        return np.bincount(self.index(values).ravel(), minlength=self.count).astype(np.int64)

    def shift(self, margin: float) -> int:
        """How many buckets up a multiplication by 1 + margin is.

        Raises ValueError if it is not a whole number of them.
        """
        if margin <= -1:
            raise ValueError(f"a relative margin must be above -1, got {margin}")
        steps = math.log1p(margin) / math.log(self.ratio)
        if abs(steps - round(steps)) > 1e-6:
            raise ValueError(f"a margin of {margin:g} is no whole number of buckets of ratio {self.ratio:g}")
        return round(steps)
