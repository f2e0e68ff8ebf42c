"""A file to be examined, on disk or packed in another, and how much may be unpacked."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO, cast

from fairtrial_servers.safety.scan.findings import Finding, Kind, TooMuch

#: All that a model unfolds to, in bytes, over all layers of packing together.
MAX_UNFOLDED = 8 << 30
#: Files in all archives together.
MAX_MEMBERS = 100_000
_IN_MEMORY = 16 << 20
_CHUNK = 1 << 20


class Role(Enum):
    """What the surroundings say of a file: who reads it, and how."""

    ANY = "any"
    RAW = "raw"  # its bytes fill a tensor and are never interpreted
    TORCH = "torch"  # a pickle that torch.load reads
    SCRIPT = "script"  # a pickle or source of TorchScript, read by its own interpreter


class Budget:
    """What may still be unpacked. Shared by all that comes out of one model."""

    def __init__(self, unfolded: int | None = None, members: int | None = None) -> None:
        self.limit = MAX_UNFOLDED if unfolded is None else unfolded
        self._left = self.limit
        self._members = MAX_MEMBERS if members is None else members

    def take(self, size: int) -> None:
        """Raises TooMuch."""
        self._left -= size
        if self._left < 0:
            raise TooMuch(f"unfolds to more than {self.limit / 2**30:.1f} GiB")

    def member(self) -> None:
        """Count one more file out of an archive. Raises TooMuch."""
        self._members -= 1
        if self._members < 0:
            raise TooMuch("holds more files than are examined")


@dataclass(frozen=True)
class Content:
    """Bytes with a name: `stream` is seekable and read from the start by whoever examines it."""

    trail: tuple[str, ...]
    stream: IO[bytes]
    size: int
    budget: Budget
    path: Path | None = None  # where it is on disk, unless it was packed
    role: Role = Role.ANY
    layers: int = 0  # of packing around it

    @property
    def name(self) -> str:
        return self.trail[-1]

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix.lower()

    def head(self, size: int, at: int = 0) -> bytes:
        self.stream.seek(at)
        return self.stream.read(size)

    def whole(self, limit: int) -> bytes:
        """All of it. Raises TooMuch beyond `limit` bytes."""
        if self.size > limit:
            raise TooMuch(f"is larger than the {limit >> 20} MiB up to which such a file is examined")
        return self.head(self.size)

    @contextmanager
    def within(self, name: str, source: IO[bytes], role: Role = Role.ANY) -> Generator[Content]:
        """What is packed in this file, unpacked to memory or a temporary file. Raises TooMuch.

        A `name` of "" keeps this file's own: what it holds is itself, compressed.
        """
        kept = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115
        with kept:
            size = 0
            while chunk := source.read(_CHUNK):
                self.budget.take(len(chunk))
                kept.write(chunk)
                size += len(chunk)
            kept.seek(0)
            trail = (*self.trail, name) if name else self.trail
            yield Content(trail, kept, size, self.budget, None, role, self.layers + 1)

    def unsafe(self, what: str, why: str, name: str | None = None, module: str = "") -> Finding:
        return Finding(self.trail, Kind.UNSAFE, what, why, name, module)

    def unknown(self, why: str) -> Finding:
        return Finding(self.trail, Kind.UNKNOWN, f"cannot be examined: {why}", "")

    def damaged(self, why: str) -> Finding:
        return Finding(self.trail, Kind.DAMAGED, f"cannot be read: {why}", "")


#: What a check yields: objections, and files that were packed in the one it was given.
Yielded = Iterator[Finding | Content]
