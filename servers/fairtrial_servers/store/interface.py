"""The seams that every kind of model store fills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fairtrial_servers.errors import ModelError
from fairtrial_servers.store.receiving import Receiver

#: Told as a model comes in: bytes that are here, and bytes in all, or None where the store does not say.
Progress = Callable[[int, int | None], None]


class UnreachableError(ModelError):
    """The store does not answer, or not sensibly: what it has may well be there."""


@dataclass(frozen=True)
class Received:
    """What became of a download."""

    version: str | None  # by which the store can tell later whether it has changed; None where it cannot
    lone: bool = False  # one file rather than a folder
    changed: bool = True  # False: it is the version that was known, and nothing was written


class LocalModels(Protocol):
    """Models that are on this machine already."""

    def fetch(self, uri: str) -> Path:
        """The model at `uri`. Raises ModelError when there is nothing there."""
        ...


class Store(Protocol):
    """Models that are elsewhere. What it gives is kept in the cache."""

    def identity(self, uri: str) -> str:
        """What tells this model from all others: its address, and where the environment has it looked up."""
        ...

    def is_fixed(self, uri: str) -> bool:
        """Whether what is at `uri` can never be another, so that what was fetched once is right for ever."""
        ...

    def download(self, uri: str, known: str | None, receiver: Receiver) -> Received:
        """Write the model's files into `receiver`, unless the version there is `known`.

        Raises UnreachableError when the store does not answer, and ModelError when there is no model there,
        it may not be read, or what came is not what the store says it has.
        """
        ...
