"""Followers of a run, each in a thread of its own that reads the journal.

Nothing here delays a run or ends it. What is made known is written to the journal afterwards, so that it
happens at least once, and twice only where a process was killed in between.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

from fairtrial.followers.interface import AwayError, FollowedJournal, Follower, RefusedError
from fairtrial.journal.entries import Entry, Kind
from fairtrial.journal.store import JournalError
from fairtrial.pauses import pause_after


@dataclass(frozen=True)
class Patience:
    """In seconds."""

    poll: float = 0.2  # between two looks into the journal
    first: float = 1.0  # before what failed is tried again; twice as long each time
    longest: float = 30.0
    drain: float = 10.0  # that the end of a run waits for those who are behind


@contextmanager
def following(
    open_journal: Callable[[], FollowedJournal],
    followers: Sequence[Follower],
    patience: Patience | None = None,
) -> Generator[None]:
    """Let them follow while the block runs, and then have what they lack, within `patience.drain` seconds.

    open_journal: of the run; called by each thread. What goes wrong is an incident in it.
    """
    patience = patience or Patience()
    threads = [_Thread(open_journal, follower, patience) for follower in followers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.reads.wait()  # so that nothing is entered before it
    try:
        yield
    finally:
        for thread in threads:
            thread.ending.set()
        deadline = time.monotonic() + patience.drain
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            thread.tell_what_is_owed()


class _Thread(threading.Thread):
    def __init__(
        self, open_journal: Callable[[], FollowedJournal], follower: Follower, patience: Patience
    ) -> None:
        # A daemon: one that hangs must not keep the process.
        super().__init__(name=f"following: {follower.name}", daemon=True)
        self.ending = threading.Event()
        self.reads = threading.Event()
        self._open = open_journal
        self._follower = follower
        self._patience = patience
        self._owed: deque[Entry] = deque()

    def run(self) -> None:
        # A journal that cannot be used ends the run itself, which says so.
        try:
            with suppress(JournalError), closing(self._open()) as journal:
                self.reads.set()
                self._follow(journal)
        finally:
            self.reads.set()

    def tell_what_is_owed(self) -> None:
        if not self._owed:
            return
        message = (
            f"spec.{self._follower.name}: {len(self._owed)} of the journal's entries could not be made known "
            f"before the end; `fairtrial resume` tries again"
        )
        with suppress(JournalError), closing(self._open()) as journal:
            journal.append(Kind.INCIDENT, {"message": message})

    def _follow(self, journal: FollowedJournal) -> None:
        name = self._follower.name
        known = [e.body["seq"] for e in journal.entries(Kind.TOLD) if e.body["to"] == name]
        told, read, failures = max(known, default=0), 0, 0
        while True:
            last_time = self.ending.is_set()  # asked first: what was written before it was set is seen
            for entry in journal.entries(after=read):
                read = entry.seq
                if entry.seq > told and self._follower.wants(entry):
                    self._owed.append(entry)
            try:
                self._tell(journal)
                failures = 0
            except AwayError as error:
                if not failures:
                    self._incident(journal, f"{error}; it is tried again")
                failures += 1
            if last_time:
                return
            self.ending.wait(self._pause(failures))

    def _tell(self, journal: FollowedJournal) -> None:
        """Raises AwayError; what is owed then stays so."""
        while self._owed:
            batch = [self._owed[i] for i in range(min(len(self._owed), self._follower.at_once))]
            try:
                self._follower.take(batch)
            except RefusedError as error:
                self._incident(journal, str(error))
            except AwayError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the run is not to suffer from it
                self._incident(journal, f"failed with {type(error).__name__}")
            journal.append(Kind.TOLD, {"to": self._follower.name, "seq": batch[-1].seq})
            for _ in batch:
                self._owed.popleft()

    def _pause(self, failures: int) -> float:
        if not failures:
            return self._patience.poll
        return pause_after(failures, self._patience.first, self._patience.longest)

    def _incident(self, journal: FollowedJournal, message: str) -> None:
        journal.append(Kind.INCIDENT, {"message": f"spec.{self._follower.name}: {message}"})
