"""Which keys came before: sets of 64-bit keys that answer for a whole array at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fairtrial.evidence.keys import Keys, KeySet

#: Keys below this are flags in a bitmap: rows and pairs are numbered from 0.
_DENSE = 1 << 26
#: Seed of the hash's multipliers: fixed, so that workers agree.
_SEED = 0x9E3779B97F4A7C15


class SeenKeys:
    """A growing set. Small keys are kept in a bitmap, others in a hash table, which is on disk once large."""

    def __init__(self) -> None:
        self._dense = np.zeros(1024, np.bool_)
        self._dense_size = 0
        self._sparse = KeySet()

    def __len__(self) -> int:
        return self._dense_size + self._sparse.size

    def add(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Add them all; says of each whether it is the first of its kind, here and before."""
        small = keys < _DENSE
        if small.all():
            return self._add_dense(keys.astype(np.int64))
        first = np.zeros(keys.size, np.bool_)
        first[small] = self._add_dense(keys[small].astype(np.int64))
        first[~small] = self._sparse.add(keys[~small])
        return first

    def _add_dense(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        if not keys.size:
            return np.zeros(0, np.bool_)
        needed = int(keys.max()) + 1
        if needed > self._dense.size:
            grown = np.zeros(max(needed, 2 * self._dense.size), np.bool_)
            grown[: self._dense.size] = self._dense
            self._dense = grown
        first = ~self._dense[keys]
        fresh = np.flatnonzero(first)
        first[fresh] = _first_of_each(keys[fresh])
        self._dense[keys] = True
        self._dense_size += int(first.sum())
        return first

    def update(self, other: SeenKeys) -> None:
        """Add every key of another set."""
        self._add_dense(np.flatnonzero(other._dense))
        for keys in other._sparse.blocks():
            self._sparse.add(keys)

    def release(self) -> None:
        """Let go of the pages in memory of what is on disk."""
        self._sparse.release()


def _first_of_each(keys: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    first = np.zeros(keys.size, np.bool_)
    first[np.unique(keys, return_index=True)[1]] = True
    return first


def hash_text(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Keys:
    """64-bit hash of each string: the bytes offsets[i] up to offsets[i + 1] of `data`.

    A multilinear hash: the sum over its bytes of byte times a random multiplier of the position, modulo
    2^64. Two given strings collide with chance at most 2^-57 (Carter and Wegman, 1979): of 20 million ids,
    one in a thousand such sets has a false duplicate.
    """
    lengths = np.diff(offsets)
    if not lengths.size:
        return np.zeros(0, np.uint64)
    longest = int(lengths.max())
    multipliers = np.random.default_rng(_SEED).integers(0, 2**64, longest + 1, np.uint64)
    text = data[offsets[0] : offsets[-1]]
    if int(lengths.min()) == longest:
        weighted = np.zeros(lengths.size, np.uint64)
        for place, column in enumerate(text.reshape(-1, longest).T if longest else ()):
            weighted += column * multipliers[place + 1]
    else:
        starts = offsets - offsets[0]
        place = np.arange(1, text.size + 1) - np.repeat(starts[:-1], lengths)
        running = np.zeros(text.size + 1, np.uint64)
        np.cumsum(text * multipliers[place], out=running[1:])
        weighted = running[starts[1:]] - running[starts[:-1]]
    # The length itself is hashed too: otherwise trailing zero bytes would go unseen.
    return weighted + lengths.astype(np.uint64) * multipliers[0]


def hash_name(name: str) -> np.uint64:
    """The hash of one string."""
    data = np.frombuffer(name.encode(), np.uint8)
    return hash_text(data, np.array([0, data.size], np.int64))[0]
