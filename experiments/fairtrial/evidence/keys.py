"""Numbers 64-bit keys in order of first appearance, for whole arrays at once."""

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


class KeyTable:
    """A hash table by open addressing with linear probing; past some size it is on disk (`GrowingArray`)."""

    def __init__(self, *, limit: int = LIMIT) -> None:
        self._limit = limit
        self._bits = 10
        self._slots = self._new_slots()
        self.size = 0

    def number(self, keys: Keys) -> Found:
        """The number of each key; new ones are numbered in the order in which they come."""
        keys = np.where(keys == _EMPTY, _ZERO, keys)
        slot, known = self._find(keys)
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
            self._insert(distinct, rank)
        return Found(number, first)

    def items(self) -> Iterator[tuple[Keys, Index]]:
        """All keys with their numbers, in blocks, in no order."""
        return _items(self._slots)

    def release(self) -> None:
        """Let go of the pages in memory of what is on disk."""
        self._slots.release()

    def _new_slots(self) -> GrowingArray[np.uint64]:
        """[slot, 2] the key and its number, beside each other so that both are fetched at once."""
        slots = GrowingArray(np.uint64, (2,), limit=self._limit)
        slots.reserve(1 << self._bits)
        return slots

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

    def _insert(self, keys: Keys, numbers: Index) -> None:
        """Add distinct keys that are not there."""
        if self.size + keys.size > _FULLEST * (1 << self._bits):
            old = self._slots
            while self.size + keys.size > _FULLEST / 2 * (1 << self._bits):
                self._bits += 1
            self._slots = self._new_slots()
            for block in _items(old):
                self._place(*block)
                old.release()
                self._slots.release()
        self._place(keys, numbers)
        self.size += keys.size

    def _place(self, keys: Keys, numbers: Index) -> None:
        while keys.size:
            slot, _ = self._find(keys)
            self._slots.array[slot, 0] = keys
            # Of those that want the same slot, one has it; the others look on.
            won = self._slots.array[slot, 0] == keys
            self._slots.array[slot[won], 1] = numbers[won].view(np.uint64)
            keys, numbers = keys[~won], numbers[~won]


def _items(slots: GrowingArray[np.uint64]) -> Iterator[tuple[Keys, Index]]:
    for start in range(0, slots.array.shape[0], _BLOCK):
        block = slots.array[start : start + _BLOCK]
        full = block[block[:, 0] != _EMPTY]
        yield full[:, 0].copy(), full[:, 1].view(np.int64)
