"""Which experiment a SeldonDeployment is on trial in: one at a time."""

from __future__ import annotations

import threading

from fairtrial.operator.resource import Key

#: Namespace and name of a SeldonDeployment.
Deployment = tuple[str, str]


class Claims:
    """Thread-safe."""

    def __init__(self) -> None:
        self._holders: dict[Deployment, Key] = {}
        self._lock = threading.Lock()

    def take(self, deployment: Deployment, key: Key) -> Key | None:
        """Take it for this experiment, or say which other one has it."""
        with self._lock:
            holder = self._holders.setdefault(deployment, key)
        return None if holder == key else holder

    def release(self, key: Key) -> None:
        with self._lock:
            for deployment in [each for each, holder in self._holders.items() if holder == key]:
                del self._holders[deployment]
