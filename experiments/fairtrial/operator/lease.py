"""Which replica leads: it holds a Lease, and acts only while it has renewed it in time.

Whoever waits takes a lease over that was not renewed for its whole duration, by a clock of its own: no two
machines need agree on the time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from fairtrial_graphs.backends.kubernetes.api import Api
from fairtrial_graphs.backends.kubernetes.errors import ApiError
from fairtrial_graphs.backends.kubernetes.kinds import LEASE

_log = logging.getLogger(__name__)


class Leadership:
    """`acquire` waits for the lease, and renews it in a thread from then on."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        identity: str,
        *,
        name: str = "fairtrial-operator",
        duration: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """api: one that gives up soon. identity: of no other process, dead or alive.

        duration: whole seconds after which others take a lease over; it is renewed five times in that time.
        """
        self._api = api
        self._where = namespace, name
        self._identity = identity
        self._duration = duration
        self._every = duration / 5
        self._clock = clock
        self._renewed_at = -duration
        self._seen: tuple[Any, float] = (None, 0.0)  # what the lease said, and since when
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def holds(self) -> bool:
        """Whether nobody else can lead yet. A third of the duration is left for what is on its way."""
        return not self._ending.is_set() and self._clock() - self._renewed_at < self._duration * 2 / 3

    def acquire(self, cancelled: Callable[[], bool]) -> bool:
        """Return True once this replica leads; False if `cancelled` says so before."""
        while not cancelled():
            if self._try():
                self._thread.start()
                return True
            self._ending.wait(self._every)
        return False

    def lost(self) -> bool:
        """Whether another replica may lead by now: nothing may be done from here on."""
        return self._clock() - self._renewed_at >= self._duration

    def release(self) -> None:
        """Let the next one lead at once."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(self._every * 2)
        try:
            found = self._api.get(LEASE, *self._where)
            if found is not None and found["spec"].get("holderIdentity") == self._identity:
                self._write(found, "")
        except ApiError as error:
            _log.warning("the lease could not be let go: %s", error)

    def _renew(self) -> None:
        while not self._ending.wait(self._every) and not self.lost():
            self._try()

    def _try(self) -> bool:
        """Whether it is ours now."""
        asked_at = self._clock()
        try:
            found = self._api.get(LEASE, *self._where)
            if found is None:
                ours = self._api.create(LEASE, self._lease(self._identity, 0)) is not None
            else:
                ours = self._may_take(found) and self._write(found, self._identity)
        except ApiError as error:
            _log.info("the lease could not be read or written: %s", error)
            return False
        if ours:
            self._renewed_at = asked_at
        return ours

    def _may_take(self, found: dict[str, Any]) -> bool:
        spec = found.get("spec") or {}
        holder = spec.get("holderIdentity")
        if holder == self._identity or not holder:
            return True
        says = (holder, spec.get("renewTime"))
        if self._seen[0] != says:
            self._seen = says, self._clock()
        return self._clock() - self._seen[1] > float(spec.get("leaseDurationSeconds") or self._duration)

    def _write(self, found: dict[str, Any], holder: str) -> bool:
        """With the version that was read: of two that take it, one fails."""
        spec = found.get("spec") or {}
        changed = spec.get("holderIdentity") != holder
        lease = self._lease(holder, int(spec.get("leaseTransitions") or 0) + changed)
        if not changed:
            lease["spec"].pop("acquireTime")
        version = found["metadata"]["resourceVersion"]
        try:
            change = {"metadata": {"resourceVersion": version}, "spec": lease["spec"]}
            return self._api.patch(LEASE, *self._where, change) is not None
        except ApiError as error:
            if error.code == 409:
                return False
            raise

    def _lease(self, holder: str, transitions: int) -> dict[str, Any]:
        now = time.time()
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"
        namespace, name = self._where
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": {"namespace": namespace, "name": name},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": int(self._duration),
                "acquireTime": at,
                "renewTime": at,
                "leaseTransitions": transitions,
            },
        }
