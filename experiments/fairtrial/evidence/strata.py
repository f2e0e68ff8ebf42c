"""Numbers strata in order of first appearance, for whole columns at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fairtrial.judge.evidence import Stratum

Index = npt.NDArray[np.int64]


class StratumIndex:
    """Segment names and time batches -> position on the stratum axis."""

    def __init__(self) -> None:
        self.strata: list[Stratum] = []
        self._place: dict[Stratum, int] = {}

    def place(self, stratum: Stratum) -> int:
        """Position of one stratum, which is numbered if it is new."""
        known = self._place.get(stratum)
        if known is None:
            known = self._place[stratum] = len(self.strata)
            self.strata.append(stratum)
        return known

    def places(self, segment: Index, names: list[str | None], batch: Index) -> Index:
        """Positions, the same length. `segment` numbers `names`."""
        if not batch.size:
            return np.zeros(0, np.int64)
        width = len(names)
        first = int(batch.min())
        span = int(batch.max()) - first + 1
        if span * width > 4 * batch.size + 4096:
            batches, local = np.unique(batch, return_inverse=True)
        else:
            batches, local = np.arange(first, first + span), batch - first
        key = local * width + segment
        present = np.flatnonzero(np.bincount(key, minlength=batches.size * width))
        lookup = np.zeros(batches.size * width, np.int64)
        for each in present.tolist():
            lookup[each] = self.place(Stratum(names[each % width], int(batches[each // width])))
        return lookup[key]


def compact(index: Index, size: int) -> tuple[Index, Index]:
    """The distinct positions below `size`, sorted, and for each entry of `index` its place among them."""
    present = np.flatnonzero(np.bincount(index, minlength=size))
    lookup = np.zeros(size, np.int64)
    lookup[present] = np.arange(present.size)
    return present, lookup[index]
