"""Moments of what is known of units, kept up to date as units change."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from fairtrial.evidence.arrow import BoolArray, FloatArray, Index
from fairtrial.evidence.tables import grown
from fairtrial.judge.evidence import IntArray

#: Of n units: their stratum, their arm, their values [n, variables], and whether they count.
Placed: TypeAlias = tuple[Index, Index, FloatArray, BoolArray]


class UnitTable:
    """Sums by stratum and arm of 2 or 3 variables, of their squares and products.

    Sums of squares from which one subtracts lose figures: they are about a shift near the mean of the first
    units, a whole number where the values are, and each is kept with what rounding took from it (Neumaier,
    1974).
    """

    def __init__(self, arms: int, variables: int) -> None:
        self._variables = variables
        self._pairs = [(i, i) for i in range(variables)]
        self._pairs += [(i, j) for i in range(variables) for j in range(i + 1, variables)]
        self._sums = np.zeros((1, arms, 1 + variables + len(self._pairs)))
        self._lost = np.zeros_like(self._sums)
        self._shift: FloatArray | None = None

    def replace(self, before: Placed, after: Placed) -> None:
        """Take the units as they were out, and put them in as they are."""
        if self._shift is None:
            if not after[3].any():
                return
            self._shift = _near(after[2][after[3]])
        same = before[3] & after[3] & (before[0] == after[0]) & (before[1] == after[1])
        self._add(after[0], after[1], self._differences(before[2], after[2]), same)
        zero = np.broadcast_to(self._shift, after[2].shape)
        put, taken = (
            np.concatenate([np.ones((each[2].shape[0], 1)), self._differences(zero, each[2])[:, 1:]], axis=-1)
            for each in (after, before)
        )
        self._add(after[0], after[1], put, after[3] & ~same)
        self._add(before[0], before[1], -taken, before[3] & ~same)

    def moments(self, strata: int) -> FloatArray:
        """[strata, arm, moment] in the order of `Evidence.joint`."""
        sums = self._total(strata)
        if self._shift is None:
            return sums
        n = sums[..., 0]
        per = np.divide(1.0, n, out=np.zeros_like(n), where=n > 0)
        first = sums[..., 1 : 1 + self._variables]
        means = np.where(n[..., None] > 0, self._shift + first * per[..., None], 0.0)
        centred = [
            sums[..., 1 + self._variables + at] - first[..., i] * first[..., j] * per
            for at, (i, j) in enumerate(self._pairs)
        ]
        squares = [np.maximum(each, 0.0) for each in centred[: self._variables]]
        return np.stack([n, *np.moveaxis(means, -1, 0), *squares, *centred[self._variables :]], axis=-1)

    def totals(self, strata: int) -> IntArray:
        """[strata, arm, 2] units, and the sum of the first variable, which is in whole numbers."""
        sums = self._total(strata)
        shift = 0.0 if self._shift is None else float(self._shift[0])
        return np.rint(np.stack([sums[..., 0], sums[..., 1] + shift * sums[..., 0]], axis=-1)).astype(
            np.int64
        )

    def _differences(self, before: FloatArray, after: FloatArray) -> FloatArray:
        """[n, 1 + variables + pairs] what changes in the sums; the number of units does not."""
        assert self._shift is not None
        change, start, end = after - before, before - self._shift, after - self._shift
        products = [change[:, i] * end[:, j] + start[:, i] * change[:, j] for i, j in self._pairs]
        return np.stack([np.zeros(len(after)), *change.T, *products], axis=-1)

    def _add(self, stratum: Index, arm: Index, changes: FloatArray, which: BoolArray) -> None:
        if not which.any():
            return
        self._sums = grown(self._sums, int(stratum[which].max()) + 1)
        self._lost = grown(self._lost, self._sums.shape[0])
        arms, width = self._sums.shape[1:]
        cells, at = np.unique(stratum[which] * arms + arm[which], return_inverse=True)
        added = np.stack(
            [np.bincount(at, changes[which, column], cells.size) for column in range(width)], axis=-1
        )
        sums, lost = (each.reshape(-1, width) for each in (self._sums, self._lost))
        old = sums[cells]
        new = old + added
        larger = np.abs(old) >= np.abs(added)
        lost[cells] += np.where(larger, (old - new) + added, (added - new) + old)
        sums[cells] = new

    def _total(self, strata: int) -> FloatArray:
        self._sums = grown(self._sums, strata)
        self._lost = grown(self._lost, strata)
        total = (self._sums + self._lost)[:strata]
        total[total[..., 0] == 0] = 0.0
        return total


def _near(values: FloatArray) -> FloatArray:
    """A number near the mean of each variable of [n, variables]."""
    mean = values.mean(axis=0)
    whole = (values == np.rint(values)).all(axis=0)
    return np.where(whole, np.rint(mean), mean)
