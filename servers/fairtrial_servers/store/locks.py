"""File locks, which the kernel lets go of however their process ends."""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path


class Lock:
    """A lock on a file, held until it is let go, collected, or the process is gone."""

    def __init__(self, path: Path) -> None:
        """Opens the file, which is made where it is not; holds nothing yet."""
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._path = path
        self.release = weakref.finalize(self, os.close, self._handle)

    def share(self) -> None:
        """Hold it together with others that share it; waits for one that has it alone."""
        fcntl.flock(self._handle, fcntl.LOCK_SH)

    def take(self) -> None:
        """Hold it alone; waits for all others."""
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def try_take(self) -> bool:
        """Hold it alone, unless somebody else has it."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_current(self) -> bool:
        """Whether the file at the path is still the one that is held: it may have been removed meanwhile."""
        try:
            there = self._path.stat()
        except OSError:
            return False
        held = os.fstat(self._handle)
        return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)

    def __enter__(self) -> None:
        self.take()

    def __exit__(self, *_: object) -> None:
        self.release()
