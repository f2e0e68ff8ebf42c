"""A worker's part in a load that several send: plans come from a master, observations go to it.

A worker that has heard nothing of its master for a while stops sending, and waits for it to come back.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gevent
from gevent.event import Event
from gevent.hub import get_hub
from locust.env import Environment
from locust.rpc import Message
from locust.runners import WorkerRunner

from fairtrial_loadtests import messages
from fairtrial_loadtests.arrivals import Share
from fairtrial_loadtests.delivery import Outbox
from fairtrial_loadtests.errors import ExitCode, LoadError
from fairtrial_loadtests.load import Load
from fairtrial_loadtests.locust_runner import user_of
from fairtrial_loadtests.messages import Batch, to_bytes
from fairtrial_loadtests.payload_files import Material, material_of
from fairtrial_loadtests.plan import LoadPlan
from fairtrial_loadtests.preparation import prepare
from fairtrial_loadtests.recorder import Observation, Recorder, table_of

_BEACON = 1.0  # seconds between two words that this worker is here
_UNHEARD = 3.0  # seconds without a word from the master after which it may be another that knows us not
_SILENCE = 10.0  # seconds without a word from the master after which nothing is sent for it any more
_PARTING = 5.0  # seconds from the master's word that it is over to an end without Locust's own word


class _Job:
    """One session: a share of the load, from its plan to its last acknowledged batch."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.outbox = Outbox()
        self.recorder = Recorder()
        self.load: Load | None = None
        self.plan: LoadPlan | None = None
        self.running = False
        self.acknowledged = Event()
        self.greenlet: Any = None


class Member:
    """Registers with the runner, which has found its master already."""

    def __init__(
        self,
        environment: Environment,
        runner: WorkerRunner,
        *,
        name: str,
        token: str,
        leaving: Event,
        alive: Callable[[], None],
    ) -> None:
        """leaving: is set to give up the share at once, so that the master lets others take it. alive: is
        called once a second, and may end the process.
        """
        self._environment = environment
        self._runner = runner
        self._name = name
        self._token = token
        self._alive = alive
        self._has = ""
        self._material: Material | None = None
        self._job: _Job | None = None
        self._heard = time.monotonic()
        self._ended: float | None = None
        self._leaving = leaving
        handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            messages.PLAN: self._take_plan,
            messages.GO: self._go,
            messages.ACK: self._acknowledge,
            messages.STOP: self._stop,
            messages.DROP: self._drop,
            messages.END: self._end,
        }
        for kind, handler in handlers.items():
            runner.register_message(kind, self._listener(handler))
        environment.events.heartbeat_received.add_listener(self._hear)

    def run(self) -> ExitCode:
        """Serve the master until it says that it is over (DONE), is gone for good (UNREACHABLE), or this
        worker is to leave before (FAILED, so that whoever keeps workers up starts another).
        """
        self._say_here()
        while not self._leaving.wait(_BEACON):
            self._alive()
            if self._ended is not None and time.monotonic() - self._ended > _PARTING:
                return ExitCode.DONE
            if len(self._runner.greenlet) == 0:  # Locust has quit: told to, or a minute without a heartbeat
                return ExitCode.DONE if self._ended is not None else ExitCode.UNREACHABLE
            silent = time.monotonic() - self._heard
            if silent > _SILENCE:
                self._abandon()
            if self._job is None or not self._job.running:
                self._say_here(anew=silent > _UNHEARD)
        self._abandon()
        self._runner.send_message(messages.LEAVING, {})
        gevent.sleep(0.1)
        return ExitCode.FAILED

    # ---- what the master says

    def _listener(self, handler: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
        def listen(*, msg: Message, **_: Any) -> None:
            self._hear()
            handler(msg.data)

        return listen

    def _hear(self, **_: Any) -> None:
        self._heard = time.monotonic()

    def _take_plan(self, message: dict[str, Any]) -> None:
        if self._job is not None and self._job.session == message["session"]:
            return  # told twice
        self._abandon()
        self._job = _Job(message["session"])
        self._job.greenlet = gevent.spawn(self._prepare, self._job, message)

    def _go(self, message: dict[str, Any]) -> None:
        job = self._planned(message)
        if job is None or job.load is None or job.running:
            return
        job.running = True
        job.greenlet = gevent.spawn(self._send, job, job.load)

    def _acknowledge(self, message: dict[str, Any]) -> None:
        if (job := self._planned(message)) is not None:
            job.outbox.acknowledge(message["number"], time.monotonic())
            job.acknowledged.set()

    def _stop(self, message: dict[str, Any]) -> None:
        job = self._planned(message)
        if job is not None and job.load is not None:
            job.load.stop(message["reason"], message["at"])

    def _drop(self, message: dict[str, Any]) -> None:
        if self._planned(message) is not None:
            self._abandon()

    def _end(self, _: dict[str, Any]) -> None:
        self._ended = time.monotonic()

    def _planned(self, message: dict[str, Any]) -> _Job | None:
        return self._job if self._job is not None and self._job.session == message["session"] else None

    # ---- what it does

    def _say_here(self, *, anew: bool = False) -> None:
        if anew:  # a master that was started again has never heard Locust's own word
            self._runner.client.send(Message("client_ready", -1, self._runner.client_id))
        job = self._job
        here = {
            "token": self._token,
            "name": self._name,
            "pid": os.getpid(),
            "release": messages.release(),
            "session": job.session if job is not None else "",
            "ready": job is not None and job.load is not None,
            "has": self._has,
        }
        self._runner.send_message(messages.HERE, here)

    def _prepare(self, job: _Job, message: dict[str, Any]) -> None:
        try:
            plan = replace(LoadPlan.from_json(message["plan"]), first_arrival=message["first"])
            if message["files"] is not None:
                self._material = material_of(message["files"], plan)
                self._has = message["digest"]
            material = self._material
            assert material is not None, "the master sends what this worker has not said that it has"
            share = Share(message["share"], message["of"])
            job.load = prepare(plan, material.data, job.recorder, share, material.pace)
            job.plan = plan
        except LoadError as error:
            refused = {"session": job.session, "code": int(error.exit_code), "sentence": str(error)}
            self._runner.send_message(messages.REFUSED, refused)
            return
        self._say_here()

    def _send(self, job: _Job, load: Load) -> None:
        """Run the load, and tell what it records until all of it has arrived."""
        assert job.plan is not None
        every = job.plan.flush_every / 2  # the master waits as long again
        before = time.process_time()
        self._environment.user_classes = [user := user_of(load)]
        self._runner.spawn_users({user.__name__: 1})
        ended = False
        while not ended or not job.outbox.empty:
            if not ended:
                told = job.recorder.reached
                ended = load.done.wait(every)
                observations = job.recorder.remaining() if ended else job.recorder.due(load.watermark)
                if ended:
                    end = Batch(
                        self._bytes_of(observations), float("inf"), load.next_arrival, load.reason,
                        repr(load.bug) if load.bug is not None else "", time.process_time() - before,
                    )  # fmt: skip
                    job.outbox.put(end.to_message())
                elif job.recorder.reached is not told:
                    reached = job.recorder.reached
                    batch = Batch(self._bytes_of(observations), reached.time, reached.arrival)
                    job.outbox.put(batch.to_message())
            else:
                job.acknowledged.wait(every)
                job.acknowledged.clear()
            for number, batch in job.outbox.to_send(time.monotonic()):
                about = {"session": job.session, "number": number}
                self._runner.send_message(messages.BATCH, {**batch, **about})

    def _bytes_of(self, observations: list[Observation]) -> bytes:
        return get_hub().threadpool.apply(lambda: to_bytes(table_of(observations)))

    def _abandon(self) -> None:
        """Send nothing more for the session, and forget what is left of it."""
        job, self._job = self._job, None
        if job is not None:
            if job.greenlet is not None:
                job.greenlet.kill()
            self._runner.user_greenlets.kill()
