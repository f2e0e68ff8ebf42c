"""Arrays that grow: in memory while there is room for them, on disk otherwise, and the same in both."""

from __future__ import annotations

import gc

import numpy as np
from fairtrial.evidence.spill import SMALL, GrowingArray, Room


def grown(room: Room, size: int, *, limit: int = 1 << 30) -> GrowingArray[np.int64]:
    """One that has grown to a number of bytes in two steps, and has something in it."""
    made = GrowingArray(np.int64, limit=limit, room=room)
    made.reserve(size // 16)
    made.array[:] = np.arange(made.array.size)
    made.reserve(size // 8)
    return made


def counts(array: GrowingArray[np.int64], size: int) -> bool:
    """Whether what was in it is in it still, and the rest is 0."""
    half = size // 16
    return bool((array.array[:half] == np.arange(half)).all() and not array.array[half:].any())


def test_arrays_share_the_room_and_whoever_finds_none_is_on_disk() -> None:
    room, size = Room(10 * SMALL), 8 * SMALL
    first, second = grown(room, size), grown(room, size)
    assert (first.spilled, second.spilled) == (False, True)
    assert counts(first, size)
    assert counts(second, size)


def test_room_is_given_back_by_an_array_that_is_gone_and_by_one_that_went_to_disk() -> None:
    room, size = Room(10 * SMALL), 8 * SMALL
    first = grown(room, size)
    del first
    gc.collect()
    assert not grown(room, size).spilled
    large = grown(room, size, limit=6 * SMALL)
    assert large.spilled
    assert not grown(room, size).spilled


def test_small_ones_are_in_memory_however_many_there_are() -> None:
    room = Room(0)
    made = [grown(room, SMALL) for _ in range(20)]
    assert not any(each.spilled for each in made)
    assert grown(room, 4 * SMALL).spilled


def test_one_on_disk_grows_there() -> None:
    array = grown(Room(0), 4 * SMALL)
    array.reserve(2 * SMALL)
    assert counts(array, 4 * SMALL)
    array.release()
    assert counts(array, 4 * SMALL)
