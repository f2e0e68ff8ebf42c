"""What hundreds of threads cost in memory, beside what they work on."""

from __future__ import annotations

import ctypes

import pyarrow as pa

_M_ARENA_MAX = -8  # of glibc's malloc.h
_ARENAS = 2


def share_arenas() -> None:
    """Have all threads of this process allocate from the same few places.

    glibc keeps eight arenas for each core and Arrow's own pool one for each thread, and what is free in one
    is of no use to the others: with 250 runs that was more than half of the operator's memory
    (benchmarks/operator_scale.py). Where there is no glibc nothing is changed but Arrow's pool.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
