"""Where the entries of a run are kept: in a file beside its observations, or on the resource of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from fairtrial.journal.entries import Effect, Entry, Kind


class RunJournal(Protocol):
    """Append and read entries. What `append` has returned of outlives the process."""

    def append(
        self, kind: Kind, body: Mapping[str, Any] | None = None, *, effect: Effect | None = None
    ) -> int:
        """Write one entry durably and return its number."""
        ...

    def entries(self, *kinds: Kind, after: int = 0) -> list[Entry]:
        """Entries in order, of these kinds (of all if none is named), numbered above `after`.

        Looks that only went on, and effects that were made again, may be left out.
        """
        ...

    def last(self, kind: Kind) -> Entry | None: ...

    def close(self) -> None: ...
