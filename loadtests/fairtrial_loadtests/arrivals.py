"""When each request is meant to be sent: an open schedule that can be taken up again at any arrival.

The schedule is absolute: it does not wait for answers, so that a server which stalls is met by the
arrivals that its users would have sent meanwhile. It is a function of the seed alone, drawn in blocks
with a generator each, so that arrival i has the same time, mode, row and offsets wherever one starts, and
whoever sends it: several processes that each take a share of the arrivals send what one would. Where a block
begins follows from sums that are drawn before what they sum up, a million arrivals at a time: a load that
went on for a day is taken up again at once.

Pairs. The halves of a pair have intended times of their own: arrival time plus an offset, independent
for each arm and uniform over one mean gap (at most `MAX_SPREAD`). Hence the order of the halves is a
fair coin; neither half knows of the other; with Poisson arrivals each arm by itself sees exactly a
Poisson process (displacement theorem; Kingman, Poisson Processes, 1993, section 5.5); and with constant
arrivals each arm gets exactly one request in each gap.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairtrial_loadtests.pace import Pace, pace_of
from fairtrial_loadtests.plan import Arrivals
from fairtrial_loadtests.trace import TRACE

BLOCK = 1024  # arrivals drawn at a time
CHAPTER = 1024  # blocks whose sums are drawn at a time
MAX_SPREAD = 0.25  # seconds between the halves of a pair, at the most

# What a generator is for is part of its seed: one more use never shifts the others.
_ARRIVALS, _PAIR_ROWS, _SPLIT_ROWS = range(3)
_CHAPTERS = TRACE + 1


@dataclass(frozen=True, slots=True)
class Arrival:
    """One arrival. A pair has one offset for each arm; an arrival through the split has none."""

    index: int
    time: float  # seconds since the load's start
    row: int
    offsets: tuple[float, ...]  # seconds after `time`, in the order of the arms; empty: through the split


class Send(NamedTuple):
    """One request of the schedule; sorts by time."""

    time: float  # intended, in seconds since the load's start
    arrival: int
    arm: int  # position in the plan's targets; -1 for the split
    row: int


@dataclass(frozen=True, slots=True)
class Share:
    """Of `of` processes, the one that sends the arrivals whose number leaves `index` when divided by `of`."""

    index: int = 0
    of: int = 1

    def has(self, arrival: int) -> bool:
        return arrival % self.of == self.index


WHOLE = Share()


@dataclass(frozen=True, slots=True)
class Boundary:
    """A moment that no arrival straddles: all sends of the arrivals below `arrival` come before `time`."""

    time: float
    arrival: int


class _Block(NamedTuple):
    """`BLOCK` arrivals, which are drawn together."""

    number: int
    start: float  # on the clock of work
    end: float
    pairs: int  # how many of its arrivals are pairs
    pairs_before: int


class Schedule:
    """The arrivals of one load, in order.

    `rows` is the size of the data set, `share` the fraction of arrivals that go through the split; only
    those `of` a share of all are told. `pace`: what `pace_of` makes of the arrivals, which it is by default.
    """

    def __init__(
        self,
        arrivals: Arrivals,
        *,
        seed: int,
        rows: int,
        arms: int,
        share: float = 0.0,
        of: Share = WHOLE,
        pace: Pace | None = None,
    ) -> None:
        self._arrivals = arrivals
        self._seed = seed
        self._rows = rows
        self._arms = arms
        self._share = share
        self._of = of
        self._pace = pace or pace_of(arrivals, seed)
        self._random = arrivals.process == "poisson" and not self._pace.exact

    def arrivals(self, first: int = 0) -> Iterator[Arrival]:
        """Arrivals from number `first` on, until the plan's `max_duration`."""
        return (arrival for arrival in self._all(first) if self._of.has(arrival.index))

    def _all(self, first: int) -> Iterator[Arrival]:
        pair_rows = _Rows(self._seed, _PAIR_ROWS, self._rows)
        split_rows = _Rows(self._seed, _SPLIT_ROWS, self._rows)
        for block in self._blocks(first // BLOCK):
            times, paired, offsets = self._draw(block)
            pairs = block.pairs_before
            index = block.number * BLOCK
            for i, time in enumerate(times.tolist()):
                if time >= self._arrivals.max_duration:
                    return
                is_pair = bool(paired[i])
                if index + i >= first:
                    if is_pair:
                        yield Arrival(index + i, time, pair_rows[pairs], tuple(offsets[i].tolist()))
                    else:
                        yield Arrival(index + i, time, split_rows[index + i - pairs], ())
                pairs += is_pair

    def sends(self, first: int = 0) -> Iterator[Send | Boundary]:
        """Requests by intended time, and between them the boundaries; the last boundary is at infinity.

        Of a share the boundaries are its own, but the last, which names what comes after all arrivals.
        """
        pending: list[Send] = []
        following = first
        for arrival in self._all(first):
            following = arrival.index + 1
            if not self._of.has(arrival.index):
                continue
            while pending and pending[0].time < arrival.time:
                yield heapq.heappop(pending)
            if not pending:
                yield Boundary(arrival.time, arrival.index)
            if arrival.offsets:
                for arm, offset in enumerate(arrival.offsets):
                    heapq.heappush(pending, Send(arrival.time + offset, arrival.index, arm, arrival.row))
            else:
                heapq.heappush(pending, Send(arrival.time, arrival.index, -1, arrival.row))
        while pending:
            yield heapq.heappop(pending)
        yield Boundary(math.inf, following)

    def time_before(self, first: int) -> float:
        """Time of the arrival before `first` (0 at the start), from which a resumed load counts on.

        Whosever the arrival is: all shares count from the same.
        """
        if first == 0:
            return 0.0
        previous = next(self._all(first - 1), None)
        return previous.time if previous else self._arrivals.max_duration

    def _blocks(self, first: int) -> Iterator[_Block]:
        """The blocks from number `first` on; of the chapters before, only the sums are drawn."""
        work, pairs = 0.0, 0
        for chapter in count():
            random = np.random.default_rng([self._seed, _CHAPTERS, chapter])
            # The work of a block's arrivals, each an exponential time of mean 1, and how many are pairs.
            lasts = random.gamma(BLOCK, size=CHAPTER) if self._random else np.full(CHAPTER, float(BLOCK))
            paired = random.binomial(BLOCK, 1.0 - self._share, size=CHAPTER)
            ends = work + np.cumsum(lasts)
            if (chapter + 1) * CHAPTER > first:
                starts = np.concatenate([[work], ends[:-1]])
                before = pairs + np.concatenate([[0], np.cumsum(paired)[:-1]])
                for i in range(max(first - chapter * CHAPTER, 0), CHAPTER):
                    yield _Block(
                        chapter * CHAPTER + i,
                        float(starts[i]),
                        float(ends[i]),
                        int(paired[i]),
                        int(before[i]),
                    )
            work = float(ends[-1])
            pairs += int(paired.sum())

    def _draw(self, block: _Block) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
        """Times since the load's start, whether each is a pair, and its arms' offsets [BLOCK, arms]."""
        random = np.random.default_rng([self._seed, _ARRIVALS, block.number])
        uniforms = random.random((BLOCK, 2 + self._arms))
        work = block.start + np.arange(1.0, BLOCK + 1)
        if self._random:
            gaps = -np.log1p(-uniforms[:, 0])  # inverse of the exponential distribution function
            # Given their sum they are what exponential gaps of that sum are (Devroye, 1986, section V.2.2).
            through = np.cumsum(gaps * ((block.end - block.start) / gaps.sum()))
            work = np.minimum(block.start + through, block.end)
        paired = np.zeros(BLOCK, dtype=np.bool_)
        paired[np.argsort(uniforms[:, 1])[: block.pairs]] = True
        spread = np.minimum(self._pace.gaps(work), MAX_SPREAD)
        return self._pace.when(work), paired, uniforms[:, 2:] * spread[:, np.newaxis]


class _Rows:
    """Row of the k-th use: a seeded permutation of the data, drawn anew for each pass."""

    def __init__(self, seed: int, purpose: int, rows: int) -> None:
        self._seed = seed
        self._purpose = purpose
        self._rows = rows
        self._pass = -1
        self._order: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def __getitem__(self, k: int) -> int:
        number, position = divmod(k, self._rows)
        if number != self._pass:
            self._pass = number
            random = np.random.default_rng([self._seed, self._purpose, number])
            self._order = random.permutation(self._rows)
        return int(self._order[position])
