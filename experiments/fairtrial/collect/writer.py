"""The one thread that touches the database: takes what waits, and makes it durable in one transaction.

Whatever comes while a transaction is under way waits for the next (group commit), so that batches are as
large as the disk is slow. What may wait is bounded; beyond that nothing is taken.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from fairtrial.clock import Clock
from fairtrial.collect.events import Event, Feedback
from fairtrial.collect.giving import Given, NeverGiven, Wanted, give
from fairtrial.collect.store import Told, add_feedback, add_halves
from fairtrial.collect.upkeep import bury, let_go, note_gap, say_alive

_MOST_AT_ONCE = 4000  # events of a transaction
_TICK = 1.0  # seconds
_BURY_EVERY = 10.0
_ATTEMPTS = 4
#: Of PostgreSQL: another collector's transaction stood in the way (a failed serialisation, a deadlock).
_OF_ANOTHER = frozenset({"40001", "40P01"})


@dataclass(frozen=True, slots=True)
class Refused:
    """What was handed in is not stored."""

    why: str
    for_good: bool = False  # the database does not take it, whenever it comes


Outcome: TypeAlias = "Told | Given | Refused | None"
Settle: TypeAlias = Callable[[Sequence[tuple[Any, Outcome]]], None]


@dataclass
class Counts:
    """What has been done; read by other threads."""

    stored: int = 0
    transactions: int = 0
    failed_transactions: int = 0
    seconds: float = 0.0  # in transactions
    given: int = 0
    feedback: dict[str, int] = field(default_factory=dict[str, int])


class Writer:
    """Takes events, feedback and readers' wishes from one thread, and settles them from its own.

    settle: told, from the writer's thread, of tokens and what became of what was handed in with them.
    retention: seconds for which anything is kept. most: of what may wait.
    """

    def __init__(
        self, engine: Engine, name: str, settle: Settle, clock: Clock, *, retention: float, most: int
    ) -> None:
        self.counts = Counts()
        self.ready = False
        self._engine = engine
        self._name = name
        self._settle = settle
        self._clock = clock
        self._retention = round(retention * 1e6)
        self._most = most
        self._waiting: deque[tuple[Any, Event | Wanted]] = deque()
        self._change = threading.Condition()
        self._closing = False
        self._refusing_since: int | None = None
        self._buried = float("-inf")
        self._thread = threading.Thread(target=self._work, name="collect-writer", daemon=True)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def start(self) -> None:
        """Raises SQLAlchemyError when the database cannot be used."""
        with self._engine.begin() as connection:
            bury(connection, self._now(), itself=self._name)
            say_alive(connection, self._name, self._now())
        self.ready = True
        self._thread.start()

    def submit(self, token: Any, what: Event | Wanted) -> bool:
        """Hand in; False if too much waits already."""
        if len(self._waiting) >= self._most or self._closing:
            if not isinstance(what, Wanted):
                self._note_refusal()
            return False
        with self._change:
            self._waiting.append((token, what))
            self._change.notify()
        return True

    def close(self) -> None:
        """Store what waits, and end."""
        with self._change:
            self._closing = True
            self._change.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._change:
                if not self._waiting and not self._closing:
                    self._change.wait(_TICK)
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
                over = self._closing and not batch
            if over:
                return
            wishes = [(token, what) for token, what in batch if isinstance(what, Wanted)]
            events = [(token, what) for token, what in batch if not isinstance(what, Wanted)]
            self._store(events)
            for token, wanted in wishes:
                self._settle([(token, self._give(wanted))])

    def _store(self, events: Sequence[tuple[Any, Event]]) -> None:
        since = self._refusing_since
        try:
            told = self._transaction(
                lambda connection: self._write(connection, [event for _, event in events], since)
            )
        except DBAPIError as error:
            if not _is_of_the_data(error):
                self._fail(events, error)
            elif len(events) == 1:
                self._settle([(events[0][0], Refused("the store does not take it", for_good=True))])
            else:  # one of them is to blame, and the others are not
                middle = len(events) // 2
                self._store(events[:middle])
                self._store(events[middle:])
        except SQLAlchemyError as error:
            self._fail(events, error)
        else:
            if self._refusing_since == since:
                self._refusing_since = None
            self.counts.stored += len(events)
            for each in told.values():
                self.counts.feedback[each.fate] = self.counts.feedback.get(each.fate, 0) + 1
            self._settle([(token, told.get(index)) for index, (token, _) in enumerate(events)])

    def _write(self, connection: Connection, events: Sequence[Event], since: int | None) -> dict[int, Told]:
        """Everything of one transaction; of each feedback, by its place, what became of it.

        since: when events began to be refused, if they were.
        """
        now = self._now()
        add_halves(connection, (event for event in events if not isinstance(event, Feedback)), now)
        places = [index for index, event in enumerate(events) if isinstance(event, Feedback)]
        notes = [event for event in events if isinstance(event, Feedback)]
        told = add_feedback(connection, notes, now)
        if since is not None:
            note_gap(connection, since, now)
        self._keep_up(connection, now)
        return dict(zip(places, told, strict=True))

    def _keep_up(self, connection: Connection, now: int) -> None:
        say_alive(connection, self._name, now)
        moment = time.monotonic()
        if moment - self._buried >= _BURY_EVERY:
            bury(connection, now)
            if not let_go(connection, now - self._retention):
                self._buried = moment

    def _give(self, wanted: Wanted) -> Given | Refused:
        try:
            given = self._transaction(lambda connection: give(connection, wanted, self._now()))
        except NeverGiven as error:
            return Refused(str(error), for_good=True)
        except SQLAlchemyError as error:
            return Refused(_told(error))
        self.counts.given += len(given.rows)
        return given

    def _transaction(self, body: Callable[[Connection], Any]) -> Any:
        began = time.monotonic()
        attempts = count(1)
        while True:
            try:
                with self._engine.begin() as connection:
                    result = body(connection)
                break
            except SQLAlchemyError as error:
                self.counts.failed_transactions += 1
                if next(attempts) == _ATTEMPTS or not _is_passing(error):
                    raise
        self.counts.transactions += 1
        self.counts.seconds += time.monotonic() - began
        self.ready = True
        return result

    def _fail(self, events: Sequence[tuple[Any, Event]], error: SQLAlchemyError) -> None:
        self.ready = False
        self._note_refusal()
        self._settle([(token, Refused(_told(error))) for token, _ in events])

    def _note_refusal(self) -> None:
        if self._refusing_since is None:
            self._refusing_since = self._now()

    def _now(self) -> int:
        return round(self._clock.now() * 1e6)


def _is_of_the_data(error: DBAPIError) -> bool:
    """Whether the statement's values are to blame, rather than the database."""
    return isinstance(error, DataError | IntegrityError)


def _is_passing(error: SQLAlchemyError) -> bool:
    """Whether the same may go well at once: another was in the way, or the connection had been cut.

    Nothing goes wrong if it went well before and only the answer was lost: all can be told twice.
    """
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _OF_ANOTHER


def _told(error: SQLAlchemyError) -> str:
    """The driver's own first line: SQLAlchemy's has the statement in it, and the whole batch."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    lines = str(cause).strip().splitlines()
    return f"the evidence store does not answer: {lines[0] if lines else type(cause).__name__}"
