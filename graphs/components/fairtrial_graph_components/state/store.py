"""A place for counts, and how an address names one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

Counts = dict[str, float]


class StoreError(Exception):
    """One sentence: the store is away, or what it holds is no state of ours."""


class Store(Protocol):
    def add(self, batch: Mapping[str, float], number: int) -> Counts:
        """Add a batch and return all counts. A batch may come again under its number, and counts once.

        Raises StoreError; whether the batch was added is then unknown."""
        ...


def open_store(address: str, name: str) -> Store | None:
    """The store at redis://, rediss://, unix:// or file:///folder, with the state called `name`; None for no
    address.

    Raises ValueError, a sentence, for an address of another kind."""
    if not address:
        return None
    parts = urlsplit(address)
    if parts.scheme in ("redis", "rediss", "unix"):
        from fairtrial_graph_components.state.redis_store import RedisStore

        return RedisStore(address, name)
    if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
        from fairtrial_graph_components.state.file_store import FileStore

        return FileStore(parts.path, name)
    raise ValueError("the state's address must begin with redis://, rediss://, unix:// or file:///")


def counts_of(held: Mapping[str, object], where: str) -> Counts:
    """What a store holds, as numbers. Raises StoreError."""
    counts: Counts = {}
    for field, value in held.items():
        try:
            number = float(value)  # pyright: ignore[reportArgumentType]
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise StoreError(
                f"{where} holds {value!r} for {field}, which is no count: delete it to begin anew"
            )
        counts[field] = number
    return counts
