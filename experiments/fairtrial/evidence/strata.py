"""Strata, and the cells of stratum and side that observations are summed into, for whole columns at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fairtrial.judge.evidence import Stratum

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """Where each of n observations belongs: `flat` is place * sides + side, `present[place]` the stratum."""

    present: Index  # [p] positions on the stratum axis, each once
    flat: Index  # [n]
    sides: int

    @classmethod
    def of(cls, stratum: Index, side: Index, sides: int) -> Cells:
        """Cells of positions on the stratum axis and on the axis of arms or candidates."""
        present, place = compact(stratum)
        return cls(present, place * sides + side, sides)

    def __getitem__(self, which: npt.NDArray[np.bool_] | Index) -> Cells:
        return Cells(self.present, self.flat[which], self.sides)

    @property
    def size(self) -> int:
        """Number of observations."""
        return self.flat.size

    @property
    def count(self) -> int:
        """Number of cells, empty ones included."""
        return self.present.size * self.sides

    @cached_property
    def counts(self) -> Index:
        """[count] observations in each cell."""
        return np.bincount(self.flat, minlength=self.count)

    @cached_property
    def stratum(self) -> Index:
        """[n] positions on the stratum axis."""
        return self.present[self.flat // self.sides]

    @cached_property
    def side(self) -> Index:
        """[n] positions on the axis of arms or candidates."""
        return self.flat % self.sides


class StratumIndex:
    """Segment names and time batches -> position on the stratum axis, in order of first appearance."""

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

    def cells(self, segment: Index, names: list[str | None], batch: Index, arm: Index, arms: int) -> Cells:
        """Cells of observations; `segment` numbers `names`. `batch` may be one number for all of them."""
        width = len(names)
        if batch.size == 1 and width == 1:
            return Cells(np.array([self.place(Stratum(names[0], int(batch[0])))]), arm, arms)
        key = segment + (batch - batch.min()) * width if width > 1 else batch - batch.min()
        if key.size and int(key.max()) > 4 * key.size + 4096:
            kinds, place = np.unique(key, return_inverse=True)
        else:
            kinds, place = compact(key)
        first = int(batch.min())
        present = [self.place(Stratum(names[kind % width], first + kind // width)) for kind in kinds.tolist()]
        return Cells(np.array(present, np.int64), place * arms + arm, arms)


def compact(index: Index) -> tuple[Index, Index]:
    """The distinct of some small positions, sorted, and for each entry of `index` its place among them."""
    present = np.flatnonzero(np.bincount(index))
    if present.size and present[-1] == present.size - 1:
        return present, index
    lookup = np.zeros(present[-1] + 1 if present.size else 0, np.int64)
    lookup[present] = np.arange(present.size)
    return present, lookup[index]
