"""The seam that every kind of model store fills."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Store(Protocol):
    def fetch(self, uri: str) -> Path:
        """The model at `uri` as a file or folder on this machine.

        Raises ModelError when there is nothing there or it cannot be read.
        """
        ...
