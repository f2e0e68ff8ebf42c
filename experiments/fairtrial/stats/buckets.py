"""Log-spaced buckets for a positive quantity, such as latency in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fairtrial.stats.score import FloatArray

MAX_RELATIVE_ERROR = 0.01
"""A bucket's geometric middle is within this of every value in it."""

#: Values from which the locator pays for itself.
_MANY = 1024
_MANTISSA_BITS = 52
_UNSURE = -1


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
        array = np.asarray(values, np.float64)
        if array.size < _MANY:
            return np.searchsorted(self.edges, array, side="right").astype(np.int64)
        return _locator(self).index(np.ascontiguousarray(array).ravel()).reshape(array.shape)

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


class _Locator:
    """Finds buckets by the leading bits of a number, exactly as a search of the edges does.

    The bits of positive floats are in the order of the floats. They are cut into cells of some thousand
    to the octave, nearly all of which lie within one bucket: a table has it. In the cells that hold
    an edge, and outside the range of the edges, the edges are searched.
    """

    def __init__(self, buckets: LogBuckets) -> None:
        self._edges = buckets.edges
        finest = math.ceil(-math.log2(math.log(buckets.ratio))) + 6
        self._shift = np.int64(_MANTISSA_BITS - min(max(finest, 8), 14))
        bits = self._edges.view(np.int64) >> self._shift
        # The first and the last cell stand for all that is beyond the edges.
        self._first = bits[0] - 1
        starts = (np.arange(self._first, bits[-1] + 3) << self._shift).view(np.float64)
        lowest = np.searchsorted(self._edges, starts[:-1], side="right")
        highest = np.searchsorted(self._edges, starts[1:], side="left")
        self._table = np.where(lowest == highest, lowest, _UNSURE)
        self._table[0] = _UNSURE  # zero and negative numbers, of which a NaN may be one
        self._table[-1] = self._edges.size
        if self._edges.size < np.iinfo(np.int16).max:
            self._table = self._table.astype(np.int16)

    def index(self, values: FloatArray) -> npt.NDArray[np.int64]:
        """Bucket of each of the values [n]."""
        cell = values.view(np.int64) >> self._shift
        cell -= self._first
        found = self._table.take(cell, mode="clip").astype(np.int64)
        unsure = np.flatnonzero(found < 0)
        if unsure.size:
            found[unsure] = np.searchsorted(self._edges, values[unsure], side="right")
        return found


@lru_cache(maxsize=32)
def _locator(buckets: LogBuckets) -> _Locator:
    return _Locator(buckets)
