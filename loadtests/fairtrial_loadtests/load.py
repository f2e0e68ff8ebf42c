"""The load itself: each request leaves at its intended time, whatever became of those before it.

One greenlet walks the schedule; each request has a greenlet of its own, so that a slow answer delays
nothing. Requests past the in-flight cap of their address are dropped and counted as failures: the cap is
of one address, so that an arm which stalls drops its own requests and not the other's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gevent
from gevent.event import Event
from gevent.hub import get_hub

from fairtrial_loadtests.alarm import new_alarm
from fairtrial_loadtests.arrivals import Boundary, Schedule, Send
from fairtrial_loadtests.connection import NO_ANSWER
from fairtrial_loadtests.parts import request_id
from fairtrial_loadtests.recorder import Observation, Recorder
from fairtrial_loadtests.scoring import Answer, Scorer, read_answer

LEAD = 0.05  # seconds from `run` to the load's start
_YIELD_EVERY = 16  # sends in a row when behind, before answers are looked at


class Report(Protocol):
    """Is told of each request what Locust's `events.request` is told, in its units.

    `response_time` in milliseconds, from the intended send; `start_time`, when that was, since the epoch.
    """

    def __call__(
        self,
        *,
        name: str,
        response_time: float,
        response_length: int,
        response: Response | None,
        exception: Exception | None,
        start_time: float,
        url: str,
    ) -> None: ...


class Response(Protocol):
    """A complete answer, whatever protocol it came by."""

    @property
    def body(self) -> bytes: ...
    def get_code(self) -> int:
        """The status as an HTTP code."""
        ...

    def header(self, name: str) -> str:
        """The value of a header; "" if it is missing."""
        ...


class Prepared(Protocol):
    """Whole requests by row, in the form that their `Caller` sends."""

    @property
    def url(self) -> str: ...
    def __getitem__(self, row: int, /) -> Any: ...


class Caller(Protocol):
    """Sends a prepared request and gives its whole answer; raises one of NO_ANSWER."""

    def post(self, request: Any) -> Response: ...
    def close(self) -> None: ...


class TimedOut(OSError):
    """The answer did not come in time."""


class Dropped(Exception):
    """The request was not sent: as many as allowed were in flight to its address."""


class BadStatus(Exception):
    """The answer's status is not 2xx."""


@dataclass
class Destination:
    """An address that requests go to: an arm's own, or the split (then `arm` is None)."""

    arm: str | None
    requests: Prepared
    connections: Caller
    read: Callable[[bytes], Answer | None] = read_answer
    arm_header: str = ""
    segment_header: str = ""
    in_flight: int = 0

    @property
    def name(self) -> str:
        return self.arm if self.arm is not None else "split"


_DROPPED = Dropped("too many requests in flight")


class _Flight:
    __slots__ = ("deadline", "greenlet", "send")

    def __init__(self, send: Send, deadline: float) -> None:
        self.send = send
        self.deadline = deadline
        self.greenlet: Any = None


class Load:
    """One load, from its first arrival to the last answer.

    `arms_by_model` tells who answered through a split whose answers carry no arm header.
    """

    def __init__(
        self,
        schedule: Schedule,
        *,
        first_arrival: int,
        arms: Sequence[Destination],
        split: Destination | None,
        arms_by_model: Mapping[str, str],
        scorer: Scorer,
        units: list[str | None] | None,
        recorder: Recorder,
        timeout: float,
        max_in_flight: int,
    ) -> None:
        self.next_arrival = first_arrival
        self.requests = self.dropped = self.failures = 0
        self.reason = "maxDuration"
        self.bug: Exception | None = None
        self.done = Event()
        self._schedule = schedule
        self._destinations = [*arms, *([split] if split else [])]  # the split is the last: index -1
        self._arms_by_model = arms_by_model
        self._scorer = scorer
        self._units = units
        self._recorder = recorder
        self._timeout = timeout
        self._max_in_flight = max_in_flight
        self._alarm = new_alarm()
        self._stop_at = math.inf
        self._begun = 0.0
        self._upcoming = -math.inf
        self._flights: dict[_Flight, None] = {}  # in order of intended time

    @property
    def watermark(self) -> float:
        """The earliest intended time in flight or to come."""
        first = next(iter(self._flights), None)
        return min(first.send.time, self._upcoming) if first else self._upcoming

    def stop(self, reason: str, at: float = -math.inf) -> None:
        """Begin no further arrival from `at` on, seconds after the load's start; at once unless said.

        The halves of pairs that are open are still sent.
        """
        if self._stop_at == math.inf and not self.done.is_set():
            self._stop_at = at
            self.reason = reason
            self._alarm.ring()

    def run(self, report: Report) -> None:
        """Send everything and wait for the answers; sets `done`."""
        first = self.next_arrival
        self._begun = time.monotonic() + LEAD - self._schedule.time_before(first)
        self._recorder.epoch = time.time() + self._begun - time.monotonic()
        sweeper = gevent.spawn(self._sweep)
        try:
            self._send_all(first, report)
            self._upcoming = math.inf
            while self._flights:
                gevent.sleep(0.005)
        except Exception as bug:
            self.bug = bug
            self.reason = "error"
            raise
        finally:
            sweeper.kill()
            self._alarm.close()
            for destination in self._destinations:
                destination.connections.close()
            self.done.set()

    def _send_all(self, first: int, report: Report) -> None:
        between_arrivals = True
        in_a_row = 0
        for item in self._schedule.sends(first):
            self._upcoming = item.time
            if isinstance(item, Boundary):
                between_arrivals = True
                self.next_arrival = item.arrival
                self._recorder.boundary(item)
                continue
            moment = self._begun + item.time
            in_a_row += 1
            while time.monotonic() < moment:
                if between_arrivals and item.time >= self._stop_at:
                    return
                self._alarm.wait_until(moment)
                in_a_row = 0
            if in_a_row == _YIELD_EVERY:
                gevent.sleep(0)
                in_a_row = 0
            if between_arrivals and item.time >= self._stop_at:
                return
            between_arrivals = False
            self._dispatch(item, report)

    def _dispatch(self, send: Send, report: Report) -> None:
        destination = self._destinations[send.arm]
        self.requests += 1
        if destination.in_flight >= self._max_in_flight:
            self.dropped += 1
            self._record(destination, send, report, sent=math.nan, response=None, error=_DROPPED)
            return
        destination.in_flight += 1
        flight = _Flight(send, time.monotonic() + self._timeout)
        self._flights[flight] = None
        gevent.spawn_raw(self._fly, flight, destination, report)

    def _fly(self, flight: _Flight, destination: Destination, report: Report) -> None:
        flight.greenlet = gevent.getcurrent()
        sent = time.monotonic() - self._begun
        response = error = None
        try:
            try:
                response = destination.connections.post(destination.requests[flight.send.row])
            except NO_ANSWER as no_answer:
                error = no_answer
            self._record(destination, flight.send, report, sent=sent, response=response, error=error)
        except Exception as bug:
            # An observation is missing: what was measured is no longer complete.
            self.bug = bug
            self.stop("error")
            raise
        finally:
            destination.in_flight -= 1
            del self._flights[flight]

    def _record(
        self,
        destination: Destination,
        send: Send,
        report: Report,
        *,
        sent: float,
        response: Response | None,
        error: Exception | None,
    ) -> None:
        latency = time.monotonic() - self._begun - send.time
        status, answer, body = 0, None, b""
        if response is not None:
            status, body = response.get_code(), response.body
            if 200 <= status < 300:
                answer = destination.read(body)
            else:
                error = BadStatus(f"HTTP {status}")
        arm, segment = destination.arm, None
        if arm is None:
            arm = response.header(destination.arm_header) if response else ""
            segment = response.header(destination.segment_header) if response else ""
            if not arm and answer:
                arm = self._arms_by_model.get(answer.model, "")
        self.failures += error is not None
        self._recorder.add(
            Observation(
                arm,
                send.time,
                latency,
                status,
                request_id(send.arrival, destination.name),
                self._units[send.row] if self._units is not None else None,
                send.arrival if destination.arm is not None else None,
                send.row,
                segment,
                sent,
                *self._scorer.score(send.row, answer),
                answer.text if answer else None,
            )
        )
        report(
            name=destination.name,
            response_time=latency * 1000,
            response_length=len(body),
            response=response,
            exception=error,
            start_time=self._recorder.epoch + send.time,
            url=destination.requests.url,
        )

    def _sweep(self) -> None:
        # All have the same time to answer, so that the first in flight is always the next to run out.
        run_soon = get_hub().loop.run_callback
        while True:
            now = time.monotonic()
            wait = self._timeout
            for flight in self._flights:
                if flight.deadline > now:
                    wait = flight.deadline - now
                    break
                run_soon(self._give_up, flight)
            gevent.sleep(max(wait, 0.001))

    def _give_up(self, flight: _Flight) -> None:
        # It may have been answered since, and then its greenlet has ended.
        if flight in self._flights and flight.greenlet is not None:
            flight.greenlet.throw(TimedOut(f"no answer in {self._timeout:g} s"))
