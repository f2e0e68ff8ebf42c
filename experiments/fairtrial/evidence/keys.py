"""Sets of 64-bit keys, and their numbers in order of first appearance, for whole arrays at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fairtrial.evidence.spill import LIMIT, GrowingArray

Keys = npt.NDArray[np.uint64]
Index = npt.NDArray[np.int64]

#: Multiplier of the hash (Fibonacci hashing: Knuth, The Art of Computer Programming, volume 3, 6.4).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_EMPTY = np.uint64(0)
#: Stands in for the key 0, which means that a slot is empty.
_ZERO = np.uint64(0xD1B54A32D192ED03)
_FULLEST = 0.6
_BLOCK = 1 << 16


class Found(NamedTuple):
    """What a table says of keys."""

    number: Index  # [n] of each key
    first: npt.NDArray[np.bool_]  # [n] whether it was the first of its kind, here and before


class KeySet:
    """Which keys came before: a hash table by open addressing with linear probing.

    It has no slots until a key comes, and past some size it is on disk (`GrowingArray`).
    """

    _width = 1  # columns of a slot; the first is the key

    def __init__(self, *, limit: int = LIMIT) -> None:
        self._limit = limit
        self._bits = 10
        self._slots = self._new_slots()
        self.size = 0

    def add(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Add them all; says of each whether it is the first of its kind, here and before."""
        keys, (_, known) = self._found(keys)
        missing = np.flatnonzero(~known)
        first = np.zeros(keys.size, np.bool_)
        if missing.size:
            distinct, at = np.unique(keys[missing], return_index=True)
            first[missing[at]] = True
            self._insert(distinct[:, None])
        return first

    def blocks(self) -> Iterator[Keys]:
        """All of them, in blocks, in no order."""
        for block in _full(self._slots):
            yield block[:, 0].copy()

    def release(self) -> None:
        """Let go of the pages in memory of what is on disk."""
        self._slots.release()

    def _new_slots(self) -> GrowingArray[np.uint64]:
        """[slot, width] the columns beside each other so that all are fetched at once."""
        return GrowingArray(np.uint64, (self._width,), limit=self._limit)

    def _found(self, keys: Keys) -> tuple[Keys, tuple[Index, npt.NDArray[np.bool_]]]:
        """The keys as they are kept, and what `_find` says of them."""
        self._slots.reserve(1 << self._bits)
        keys = np.where(keys == _EMPTY, _ZERO, keys)
        return keys, self._find(keys)

    def _find(self, keys: Keys) -> tuple[Index, npt.NDArray[np.bool_]]:
        """The slot of each key, or the empty one where it would go; and whether it is there."""
        slots, last = self._slots.array[:, 0], (1 << self._bits) - 1
        slot = ((keys * _GOLDEN) >> np.uint64(64 - self._bits)).astype(np.int64)
        held = slots[slot]
        known = held == keys
        probing = np.flatnonzero(~known & (held != _EMPTY))
        while probing.size:
            at = (slot[probing] + 1) & last
            slot[probing] = at
            held = slots[at]
            same = held == keys[probing]
            known[probing[same]] = True
            probing = probing[~same & (held != _EMPTY)]
        return slot, known

    def _insert(self, rows: npt.NDArray[np.uint64]) -> None:
        """Add the slots [n, width] of distinct keys that are not there."""
        size = len(rows)
        if self.size + size > _FULLEST * (1 << self._bits):
            old = self._slots
            while self.size + size > _FULLEST / 2 * (1 << self._bits):
                self._bits += 1
            self._slots = self._new_slots()
            self._slots.reserve(1 << self._bits)
            for block in _full(old):
                self._place(block)
                old.release()
                self._slots.release()
        self._place(rows)
        self.size += size

    def _place(self, rows: npt.NDArray[np.uint64]) -> None:
        while len(rows):
            slot, _ = self._find(rows[:, 0])
            self._slots.array[slot, 0] = rows[:, 0]
            # Of those that want the same slot, one has it; the others look on.
            won = self._slots.array[slot, 0] == rows[:, 0]
            self._slots.array[slot[won]] = rows[won]
            rows = rows[~won]


class KeyTable(KeySet):
    """Numbers them in the order of their first appearance."""

    _width = 2

    def number(self, keys: Keys) -> Found:
        """The number of each key; new ones are numbered in the order in which they come."""
        keys, (slot, known) = self._found(keys)
        number = np.full(keys.size, -1, np.int64)
        number[known] = self._slots.array[slot[known], 1].view(np.int64)
        first = np.zeros(keys.size, np.bool_)
        missing = np.flatnonzero(~known)
        if missing.size:
            distinct, at, back = np.unique(keys[missing], return_index=True, return_inverse=True)
            rank = np.empty(at.size, np.int64)
            rank[np.argsort(at)] = np.arange(self.size, self.size + at.size)
            number[missing] = rank[back]
            first[missing[at]] = True
            self._insert(np.stack([distinct, rank.view(np.uint64)], axis=-1))
        return Found(number, first)

    def items(self) -> Iterator[tuple[Keys, Index]]:
        """All keys with their numbers, in blocks, in no order."""
        for block in _full(self._slots):
            yield block[:, 0].copy(), block[:, 1].view(np.int64)


def _full(slots: GrowingArray[np.uint64]) -> Iterator[npt.NDArray[np.uint64]]:
    """[n, width] the slots that are taken, in blocks."""
    for start in range(0, slots.array.shape[0], _BLOCK):
        block = slots.array[start : start + _BLOCK]
        yield block[block[:, 0] != _EMPTY]
