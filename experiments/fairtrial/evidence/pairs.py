"""Joins the halves of pairs across batches: what came alone waits for the other half."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from fairtrial.evidence.arrow import BoolArray, FloatArray, Index
from fairtrial.evidence.keys import Keys
from fairtrial.evidence.seen import SeenKeys

#: Seconds of intended time after which the other half is taken for missing.
GRACE = 10.0


@dataclass(frozen=True)
class Halves:
    """One arm's halves. Arrays of one length; `values` [n, paired metrics], NaN where there is none."""

    pair: Keys
    time: FloatArray
    stratum: Index
    row: Keys
    row_known: BoolArray
    values: FloatArray

    @classmethod
    def none(cls, metrics: int) -> Halves:
        return cls(
            pair=np.zeros(0, np.uint64),
            time=np.zeros(0),
            stratum=np.zeros(0, np.int64),
            row=np.zeros(0, np.uint64),
            row_known=np.zeros(0, np.bool_),
            values=np.zeros((0, metrics)),
        )

    def __getitem__(self, which: BoolArray | Index) -> Halves:
        return Halves(**{each.name: getattr(self, each.name)[which] for each in fields(self)})

    def and_then(self, later: Halves) -> Halves:
        """These, followed by those."""
        return Halves(
            **{
                each.name: np.concatenate([getattr(self, each.name), getattr(later, each.name)])
                for each in fields(self)
            }
        )

    def restratified(self, place: Index) -> Halves:
        """The same with stratum i renumbered to place[i]."""
        return replace(self, stratum=place[self.stratum])


@dataclass(frozen=True)
class Pairs:
    """Complete pairs, in the order in which they were completed; the entries of both sides match."""

    baseline: Halves
    candidate: Halves

    @property
    def time(self) -> FloatArray:
        """Intended time of the later half."""
        return np.maximum(self.baseline.time, self.candidate.time)

    @property
    def began(self) -> FloatArray:
        """Intended time of the earlier half."""
        return np.minimum(self.baseline.time, self.candidate.time)

    @property
    def stratum(self) -> Index:
        """That of the later half, so that what was summed for earlier times stays as it was."""
        later = self.candidate.time > self.baseline.time
        return np.where(later, self.candidate.stratum, self.baseline.stratum)


class PairJoin:
    """The halves of one candidate and of the baseline. A second half of the same arm is a duplicate."""

    def __init__(self, metrics: int) -> None:
        self._seen = (SeenKeys(), SeenKeys())
        self._waiting = (Halves.none(metrics), Halves.none(metrics))

    def add(self, baseline: Halves, candidate: Halves) -> tuple[Pairs, int]:
        """The pairs that these halves complete, and how many halves were duplicates."""
        new = (baseline, candidate)
        fresh = [seen.add(half.pair) for seen, half in zip(self._seen, new, strict=True)]
        duplicates = sum(int((~first).sum()) for first in fresh)
        base, cand = (
            waiting.and_then(half[first])
            for waiting, half, first in zip(self._waiting, new, fresh, strict=True)
        )
        return self._match(base, cand), duplicates

    def merge(self, other: PairJoin, place: Index) -> tuple[Pairs, int]:
        """Take over another join, whose stratum i is place[i] here; says what `add` says."""
        pairs, duplicates = self.add(*(half.restratified(place) for half in other._waiting))
        for mine, theirs in zip(self._seen, other._seen, strict=True):
            mine.update(theirs)
        return pairs, duplicates

    def missing(self, latest: float) -> tuple[int, int]:
        """Pairs that lack the baseline's half, and the candidate's, `GRACE` seconds before `latest`."""
        base, cand = (int((half.time < latest - GRACE).sum()) for half in self._waiting)
        return cand, base

    def _match(self, base: Halves, cand: Halves) -> Pairs:
        _, at_base, at_cand = np.intersect1d(base.pair, cand.pair, assume_unique=True, return_indices=True)
        pairs = Pairs(base[at_base], cand[at_cand])
        self._waiting = (_without(base, at_base), _without(cand, at_cand))
        order = np.lexsort((pairs.baseline.pair, pairs.time))
        return Pairs(pairs.baseline[order], pairs.candidate[order])


def _without(halves: Halves, taken: npt.NDArray[np.intp]) -> Halves:
    keep = np.ones(halves.pair.size, np.bool_)
    keep[taken] = False
    return halves[keep]
