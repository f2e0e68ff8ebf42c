"""The data of a load as they are sent to workers that have no file of their own."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from fairtrial_loadtests.errors import BadLoadError

_MOST = 1 << 30  # bytes: one message takes no more than four times that


class PayloadFile:
    """A file that does not change while the load goes on."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def digest(self) -> str:
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def read(self) -> bytes:
        """All of it. Raises BadLoadError if that is more than can be sent."""
        if self._path.stat().st_size > _MOST:
            raise BadLoadError(f"{self._path} is over 1 GB, which is too much to send to load workers.")
        return self._path.read_bytes()
