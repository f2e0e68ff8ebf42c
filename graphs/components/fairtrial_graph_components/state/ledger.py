"""The counts as a router sees them: those of the store, and those of its own that the store has not yet.

Requests read and write memory only. A thread brings what is new to the store and fetches what others counted,
so a crash loses at most an interval, and a store that is away delays the merging and nothing else."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Mapping

from fairtrial_graph_components.state.store import Counts, Store, StoreError

INTERVAL = 0.4  # seconds between writes: a crash is to lose less than a second of counts

logger = logging.getLogger(__name__)


class Ledger:
    def __init__(self, store: Store | None, refreshed: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._refreshed = refreshed
        self._lock = threading.Lock()  # of the counts
        self._bringing = threading.Lock()  # of the way to the store
        self._known: Counts = {}
        self._sent: Counts = {}
        self._new: Counts = {}
        self._number = 1
        self._away = False

    def start(self) -> None:
        """Read what is there, and begin to write. In the process that serves: threads do not survive a
        fork."""
        self.bring()
        atexit.register(self.bring)
        threading.Thread(target=self._run, daemon=True, name="counts").start()

    def add(self, counts: Mapping[str, float]) -> None:
        with self._lock:
            _add(self._new, counts)

    def counts(self) -> Counts:
        with self._lock:
            total = dict(self._known)
            _add(total, self._sent)
            _add(total, self._new)
            return total

    def bring(self) -> None:
        """Bring what is new to the store. What fails is kept, and brought again under the same number."""
        with self._bringing:
            if self._store is not None:
                self._exchange(self._store)
        self._refreshed()

    def _exchange(self, store: Store) -> None:
        with self._lock:
            if not self._sent:
                self._sent, self._new = self._new, {}
        try:
            known = store.add(self._sent, self._number)
        except StoreError as error:
            if not self._away:
                logger.warning("%s. Counts are kept here and merged later.", error)
            self._away = True
            return
        if self._away:
            logger.info("The store of the counts is back.")
        self._away = False
        with self._lock:
            self._known, self._sent = known, {}
            self._number += 1

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(INTERVAL)
            try:
                self.bring()
            except Exception:
                logger.exception("The counts could not be brought to their store.")


def _add(counts: Counts, more: Mapping[str, float]) -> None:
    for field, value in more.items():
        counts[field] = counts.get(field, 0.0) + value
