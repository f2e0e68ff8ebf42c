"""The data of a load as they are sent to workers that have no file of their own."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from fairtrial_loadtests.dataset import Dataset
from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.plan import Requests

_MOST = 1 << 30  # bytes: one message takes no more than four times that


class PayloadFile:
    """A file that does not change while the load goes on."""

    def __init__(self, requests: Requests) -> None:
        self._path = requests.data
        self._read_as = repr((requests.target, requests.unit, requests.exclude))

    @cached_property
    def digest(self) -> str:
        """Of the bytes, and of how they are read."""
        with self._path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        digest.update(self._read_as.encode())
        return digest.hexdigest()

    def read(self) -> bytes:
        """All of it. Raises BadLoadError if that is more than can be sent."""
        if self._path.stat().st_size > _MOST:
            raise BadLoadError(f"{self._path} is over 1 GB, which is too much to send to load workers.")
        return self._path.read_bytes()


def dataset_of(content: bytes, requests: Requests) -> Dataset:
    """The data set in the bytes of a file that was called `requests.data`. Raises BadLoadError.

    Nothing of it stays on disk, however the process ends.
    """
    with tempfile.TemporaryDirectory(prefix="fairtrial-load-") as folder:
        path = Path(folder) / requests.data.name
        path.write_bytes(content)
        return Dataset(replace(requests, data=path))
