"""A file that one process holds; the kernel lets go of it when that process dies."""

from __future__ import annotations

import fcntl
import os
from typing import TextIO


def hold(lock: TextIO) -> str | None:
    """Hold a file that is open for reading and appending, until it is closed.

    None once it is held; else which process holds it, by its id.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        return lock.read().strip() or "unknown"
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return None
