"""What a delivery asks of the place where the version in service runs."""

from __future__ import annotations

from typing import Protocol

from fairtrial.controller.placing import Cluster
from fairtrial.delivery.pinning import Pinned


class Service(Protocol):
    @property
    def cluster(self) -> Cluster | None:
        """Where trials run: the same cluster, whose graph a trial itself updates; None on this machine."""
        ...

    @property
    def outlives(self) -> bool:
        """Whether what serves goes on without this process."""
        ...

    def serve(self, version: Pinned) -> str:
        """Have this version serve, and no other, with no moment without one that does. Idempotent.

        Its address. Raises NotReadyError (what served goes on serving), UsageError, UnsafeModelError,
        InterferedError.
        """
        ...

    def incidents(self) -> list[str]:
        """What went wrong since the last call, in sentences."""
        ...

    def close(self) -> None:
        """End what runs on this machine."""
        ...
