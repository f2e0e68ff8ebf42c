"""Arrays that grow, and move to a file on disk once they are large, or all of them together are.

The file is in the directory for temporary files (TMPDIR names another) and has no name from the start, so
that the system removes it whenever and however the process ends. It is mapped into memory: the system can
take back pages of it at any time.
"""

from __future__ import annotations

import mmap
import tempfile
import threading
import weakref
from collections.abc import Sequence
from typing import IO, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from fairtrial.errors import UsageError

#: Bytes that an array may have in memory.
LIMIT = 32 << 20
#: Bytes that all arrays of a process may have there, an operator's hundreds of experiments too ...
TOGETHER = 64 << 20
#: ... but for those that have no more than this.
SMALL = 32 << 10


class Room:
    """How much of the memory for arrays is left, for all threads of a process."""

    def __init__(self, size: int = TOGETHER) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Whether there was room; a negative size gives some back."""
        with self._lock:
            if size > 0 and size > self._left:
                return False
            self._left -= size
            return True


_room = Room()


_Scalar = TypeVar("_Scalar", bound=np.generic)


class GrowingArray(Generic[_Scalar]):
    """An array whose first axis grows; new entries are 0. Keep no view of it over a growth."""

    def __init__(
        self,
        dtype: type[_Scalar],
        trailing: Sequence[int] = (),
        *,
        limit: int = LIMIT,
        room: Room | None = None,
    ) -> None:
        """limit: bytes that it may have in memory. room: that it shares with others; the process's own."""
        self._dtype: np.dtype[_Scalar] = np.dtype(dtype)
        self._trailing = tuple(trailing)
        self._limit = limit
        self._holding = _Holding(room or _room)
        weakref.finalize(self, self._holding.hold, 0)
        self._map: mmap.mmap | None = None
        self._file: IO[bytes] | None = None
        self.array: npt.NDArray[_Scalar] = np.zeros((0, *self._trailing), self._dtype)

    @property
    def spilled(self) -> bool:
        """Whether it is on disk."""
        return self._file is not None

    def reserve(self, size: int) -> None:
        """Have room for `size` entries. Raises UsageError if the disk is full."""
        have = self.array.shape[0]
        if size <= have:
            return
        size = max(size, 2 * have, 1024)
        per_entry = self._dtype.itemsize * int(np.prod(self._trailing, dtype=np.int64))
        length = size * per_entry
        if self._file is None and length <= self._limit and self._holding.hold(length):
            larger = np.zeros((size, *self._trailing), self._dtype)
            larger[:have] = self.array
            self.array = larger
        else:
            self._grow_on_disk(size, length)
            self._holding.hold(0)

    def release(self) -> None:
        """Let go of the pages in memory; the data stays."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _grow_on_disk(self, size: int, length: int) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the array is)
                weakref.finalize(self, self._file.close)
                self._file.write(self.array.data)
                self._file.flush()
            self._file.truncate(length)
            self._map = mmap.mmap(self._file.fileno(), length)
        except OSError as error:
            raise UsageError(
                f"there is no room for {length / (1 << 20):.1f} MB of sums by unit or known ids in "
                f"{tempfile.gettempdir()} ({error.strerror}); set TMPDIR to a directory that has it"
            ) from error
        self.array = np.ndarray((size, *self._trailing), self._dtype, self._map)


class _Holding:
    """What one array has of the room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size = 0

    def hold(self, size: int) -> bool:
        """Whether it may have so many bytes, in place of what it had."""
        size = size if size > SMALL else 0
        if not self._room.take(size - self._size):
            return False
        self._size = size
        return True
