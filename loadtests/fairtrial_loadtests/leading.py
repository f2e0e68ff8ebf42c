"""The master's part in a load that several send: who takes part, what they are told, what becomes of it.

All that happens comes as mail to one greenlet, which alone changes anything. A worker that is lost ends the
session: what the others recorded is kept as far as it is complete, and the next session begins there.
"""

from __future__ import annotations

import contextlib
import hmac
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from gevent.queue import Empty, Queue
from locust.rpc import Message
from locust.runners import MasterRunner

from fairtrial_loadtests import messages
from fairtrial_loadtests.children import Children
from fairtrial_loadtests.errors import BadLoadError, ExitCode, LoadError, UnreachableError
from fairtrial_loadtests.load import LEAD
from fairtrial_loadtests.part_writer import PartWriter
from fairtrial_loadtests.payload_files import PayloadFiles
from fairtrial_loadtests.plan import LoadPlan
from fairtrial_loadtests.preparation import schedule_of
from fairtrial_loadtests.session import Session

_TICK = 0.05  # seconds between two looks at what no mail tells
_GATHER = 300.0  # seconds in which workers are to come
_REPLACE = 20.0  # seconds that a lost worker's place is kept before the others take up its share
_PREPARE = 60.0  # seconds, over the time that an answer may take, in which a worker is to be ready
_STALL = 10.0  # seconds, over the time that an answer may take, in which a worker is to tell something
_HEAR_GO = 3.0  # seconds after which a worker that says it is ready has not heard that it is to begin
_STOP_LEAD = 0.25  # seconds from the word to stop to the moment from which no arrival is begun
_ASK_AGAIN = 1.0  # seconds between two words to stop


@dataclass
class _Worker:
    """Somebody who came, and may take part."""

    name: str
    pid: int
    has: str  # digest of the data that it was sent


class Leader:
    """Leads `wanted` workers through a plan whose data have so many rows.

    `next_arrival` is the first that is not recorded.
    """

    def __init__(
        self,
        plan: LoadPlan,
        rows: int,
        runner: MasterRunner,
        *,
        wanted: int,
        token: str,
        writer: PartWriter,
        children: Children | None,
        tell: Callable[[str], None],
        alive: Callable[[], None],
    ) -> None:
        """token: what workers must show. children: those that are kept up here. alive: is called at every
        turn, and may end the process.
        """
        self.next_arrival = plan.first_arrival
        self.started_at: float | None = None
        self.sessions = 0
        self.cpu = 0.0
        self.reason = "maxDuration"
        self._plan = plan
        self._payload = PayloadFiles(plan)
        self._rows = rows
        self._runner = runner
        self._wanted = wanted
        self._token = token
        self._writer = writer
        self._children = children
        self._tell = tell
        self._alive = alive
        self._stopped = False
        self._asked = 0.0  # when the workers were last asked to stop
        self._key = uuid.uuid4().hex
        self._workers: dict[str, _Worker] = {}
        self._turned_away: set[str] = set()
        self._session: Session | None = None
        self._epoch = 0.0  # of the session
        self._mail: Queue[tuple[str, str, dict[str, Any]]] = Queue()
        self._handlers: dict[str, Callable[[str, dict[str, Any]], None]] = {
            messages.HERE: self._here,
            messages.REFUSED: self._refused,
            messages.BATCH: self._batch,
            messages.LEAVING: self._leaving,
        }
        for kind in self._handlers:
            runner.register_message(kind, self._post)

    def stop(self, reason: str) -> None:
        """Begin no further arrival; what is open is still recorded."""
        if not self._stopped:
            self._stopped = True
            self.reason = reason

    def run(self) -> None:
        """Lead the load to its end. Raises LoadError, and OSError if the folder takes no more."""
        self._await(self._wanted)
        while not self._stopped and not self._hold_session():
            if not self._have_come(self._wanted, _REPLACE):
                self._await(1)
                self._tell(f"{len(self._workers)} of {self._wanted} load workers take up the shares of all")

    def dismiss(self) -> None:
        """Tell all workers that it is over."""
        for each in self._workers:
            self._send(messages.END, {}, each)

    # ---- who takes part

    def _await(self, wanted: int) -> None:
        if not self._have_come(wanted, _GATHER):
            raise UnreachableError(
                f"Of {wanted} load workers that were expected {len(self._workers)} have come "
                f"in {_GATHER / 60:.0f} minutes: see that they are started, and that they reach this machine."
            )

    def _have_come(self, wanted: int, seconds: float) -> bool:
        """Wait for so many workers; False if they do not come. True at once if the load was stopped."""
        deadline = time.monotonic() + seconds
        while len(self._workers) < wanted and not self._stopped:
            self._turn()
            if time.monotonic() > deadline:
                return False
        return True

    def _admits(self, sender: str, here: dict[str, Any]) -> bool:
        if sender in self._workers:
            return True
        if not hmac.compare_digest(str(here["token"]).encode(), self._token.encode()):
            why = "it does not show the token of this run"
        elif here["release"] != messages.release():
            why = f"it has {here['release']}, and the master {messages.release()}"
        else:
            self._workers[sender] = _Worker(str(here["name"]), here["pid"], here["has"])
            return True
        if sender not in self._turned_away:
            self._turned_away.add(sender)
            self._tell(f"a load worker was turned away: {why}")
        return False

    def _expel(self, lost: Iterable[str], why: str) -> None:
        """Let somebody go on without these."""
        for each in lost:
            worker = self._workers.pop(each, None)
            if worker is not None:
                self._tell(f"load worker {worker.name} {why}")
                if self._session is not None:
                    self._send(messages.DROP, {"session": self._session.key}, each)

    # ---- a session

    def _hold_session(self) -> bool:
        """Send what is left of the load; False if a worker was lost before the end, True at the end."""
        self.sessions += 1
        members = list(self._workers)[: self._wanted]
        schedule = schedule_of(self._plan, self._rows)
        session = Session(f"{self._key}-{self.sessions}", members, schedule, self.next_arrival)
        self._session = session
        try:
            for member in members:
                self._send_plan(session, member)
            if self._are_ready(session):
                self._begin(session, schedule.time_before(self.next_arrival))
                self._see_through(session)
        finally:
            self._session = None
            for member in members:
                self._send(messages.DROP, {"session": session.key}, member)
        for last in session.ended.values():
            self.cpu += last.cpu
            if last.bug:
                raise LoadError(f"The load broke off, as an answer could not be recorded: {last.bug}.")
        return session.over

    def _begin(self, session: Session, before: float) -> None:
        for member in session.members:
            self._send(messages.GO, {"session": session.key}, member)
        session.went_at = time.monotonic()
        session.begun = session.went_at + LEAD - before
        self._epoch = time.time() + LEAD - before
        if self.started_at is None:
            self.started_at = self._epoch

    def _are_ready(self, session: Session) -> bool:
        deadline = time.monotonic() + _PREPARE + self._plan.timeout
        while not session.all_ready:
            if self._stopped or self._has_lost(session):
                return False
            if time.monotonic() > deadline:
                self._expel(set(session.members) - session.ready, "is not ready for its share in time")
            self._turn()
        return True

    def _see_through(self, session: Session) -> None:
        """Write what is recorded until the session is over, or has lost somebody."""
        patience = _STALL + self._plan.timeout
        written = 0.0
        while not (session.over or session.broken or self._has_lost(session)):
            self._turn()
            now = time.monotonic()
            stalled = session.stalled(now, patience)
            self._expel(stalled, f"has told nothing for {patience:.0f} s: the load goes on without it")
            if self._stopped:
                self._ask_to_stop(session, now)
            if now - written > self._plan.flush_every / 2:
                self._write(session)
                written = now
        self._write(session)

    def _ask_to_stop(self, session: Session, now: float) -> None:
        assert session.begun is not None
        if session.asked_to_stop is None:
            session.asked_to_stop = now
            session.stop_at = session.merger.boundary_after(now - session.begun + _STOP_LEAD).time
        if now - self._asked > _ASK_AGAIN:
            self._asked = now
            stop = {"session": session.key, "at": session.stop_at, "reason": self.reason}
            for member in session.members:
                self._send(messages.STOP, stop, member)

    def _write(self, session: Session) -> None:
        table = session.merger.due()
        self._writer.write(table, self._epoch)
        self.next_arrival = session.merger.boundary.arrival
        if table.num_rows and self._children is not None:
            self._children.recorded()

    def _has_lost(self, session: Session) -> bool:
        return not self._workers.keys() >= set(session.members)

    # ---- mail

    def _post(self, *, msg: Message, **_: Any) -> None:
        self._mail.put((msg.type, str(msg.node_id), msg.data))

    def _send(self, kind: str, message: dict[str, Any], worker: str) -> None:
        self._runner.send_message(kind, message, worker)

    def _send_plan(self, session: Session, member: str) -> None:
        worker = self._workers[member]
        lacks = worker.has != self._payload.digest
        plan = {
            "session": session.key,
            "plan": self._plan.to_json(),
            "share": session.members.index(member),
            "of": len(session.members),
            "first": self.next_arrival,
            "digest": self._payload.digest,
            "files": self._payload.read() if lacks else None,
        }
        self._send(messages.PLAN, plan, member)

    def _turn(self) -> None:
        """Take the mail that is there, or comes in a moment, and look after the processes here."""
        self._alive()
        with contextlib.suppress(Empty):
            mail = self._mail.get(timeout=_TICK)
            while True:
                self._take(*mail)
                mail = self._mail.get_nowait()
        if self._children is not None:
            for sentence in self._children.restart_dead():
                self._tell(sentence)
            pids = self._children.pids
            for each in [each for each, worker in self._workers.items() if worker.pid not in pids]:
                del self._workers[each]

    def _take(self, kind: str, sender: str, message: dict[str, Any]) -> None:
        try:
            self._handlers[kind](sender, message)
        except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
            if sender in self._workers:  # what strangers send is nobody's concern
                self._tell(f"a load worker sent what nobody understands: {kind} {error!r}")

    def _here(self, sender: str, here: dict[str, Any]) -> None:
        if not self._admits(sender, here):
            return
        self._workers[sender].has = here["has"]
        session = self._session
        if session is None or sender not in session.members:
            return
        if here["session"] != session.key:
            if session.begun is None:
                self._send_plan(session, sender)
            else:
                self._expel([sender], "has lost its share")
        elif here["ready"]:
            session.ready.add(sender)
            if session.begun is not None and time.monotonic() - session.went_at > _HEAR_GO:
                self._expel([sender], "did not hear that it was to begin")

    def _refused(self, sender: str, message: dict[str, Any]) -> None:
        session = self._session
        if session is None or sender not in session.members or message["session"] != session.key:
            return
        kinds = {ExitCode.USAGE: BadLoadError, ExitCode.UNREACHABLE: UnreachableError}
        raise kinds.get(message["code"], LoadError)(message["sentence"])

    def _batch(self, sender: str, message: dict[str, Any]) -> None:
        session = self._session
        if session is None or sender not in session.members or message["session"] != session.key:
            self._send(messages.DROP, {"session": message["session"]}, sender)
            return
        received = session.receive(sender, message["number"], message, time.monotonic())
        self._send(messages.ACK, {"session": session.key, "number": received}, sender)

    def _leaving(self, sender: str, _: dict[str, Any]) -> None:
        self._expel([sender], "was told to end, and leaves")
