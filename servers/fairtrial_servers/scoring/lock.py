"""One job at a time on one output."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from fairtrial_servers.scoring.errors import ScoreError, writing_failed


class Lock:
    """Held until it is released or its process ends, however it ends."""

    def __init__(self, path: Path, what: str) -> None:
        """Raises ScoreError if another process holds it. `what` is being written, for the message."""
        self._path = path
        while True:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            except FileNotFoundError:
                continue  # the folder went with the job that finished just now
            except OSError as error:
                raise writing_failed(path, error) from error
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._handle)
                raise ScoreError(
                    f"another scoring job is writing {what}: wait for it, or give --out another name"
                ) from None
            if self._is_at(path):
                return
            os.close(self._handle)  # the file was taken away by the job that held it, which has finished

    def release(self) -> None:
        """Take the file away and let the next one have it."""
        self._path.unlink(missing_ok=True)
        os.close(self._handle)

    def _is_at(self, path: Path) -> bool:
        try:
            there, ours = path.stat(), os.fstat(self._handle)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
