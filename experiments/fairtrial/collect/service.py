"""What the collector answers: events, feedback, readers, and those who look after it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

import orjson

from fairtrial.collect.access import Access
from fairtrial.collect.events import Event, Malformed, read_event, read_feedback
from fairtrial.collect.giving import Given, Wanted
from fairtrial.collect.metrics import exposition
from fairtrial.collect.observations import observations, to_ipc
from fairtrial.collect.protocol import Request, Response, Slot
from fairtrial.collect.store import Fate, Told
from fairtrial.collect.writer import Outcome, Refused, Writer

EVENTS, FEEDBACK, OBSERVATIONS = ("/", "/events"), "/feedback", "/observations"
_GUARDED = (FEEDBACK, OBSERVATIONS)
#: Headers of what is given out: the number to go on after, and up to when all is given out.
CURSOR, UNTIL = "x-fairtrial-cursor", "x-fairtrial-until"
ARROW = "application/vnd.apache.arrow.stream"
_JSON = "application/json"
_LATER = (("retry-after", "1"),)
_STORED = Response(202)
_UNKNOWN = Response(
    401, b"this needs the header Authorization: Bearer TOKEN", headers=(("www-authenticate", "Bearer"),)
)
_NO_EVENTS = Response(403, b"events are posted to an address with the collector's secret in it")
_MOST_ROWS = 50_000
_FATES = {
    Fate.COUNTED: (200, "counted with its request"),
    Fate.KEPT: (202, "kept: no such request is known yet"),
    Fate.LATE: (409, "not counted: the request was given out already, without it"),
    Fate.ANOTHER: (409, "not counted: another value was told before, which stays"),
}


class Service:
    """Routes requests; `settle` is called by the writer, from its thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, unit: str | None, access: Access) -> None:
        """unit: where requests name their unit, for loggers whose address does not say."""
        self._loop = loop
        self._access = access
        self._unit = unit
        self._writer: Writer | None = None
        self._closing = False
        self._counts: Counter[str] = Counter()
        self._units: dict[bytes, str | None] = {}

    def use(self, writer: Writer) -> None:
        self._writer = writer

    def drain(self) -> None:
        """Take nothing more; readiness says so."""
        self._closing = True

    def handle(self, request: Request, slot: Slot) -> None:
        """See `protocol.Handler`."""
        path, method = request.path, request.method
        into = self._access.event_path(path)
        try:
            if path in _GUARDED and not self._access.knows(request.headers.get("authorization")):
                self._refuse(slot, _UNKNOWN)
            elif method == "POST" and into in EVENTS:
                self._take(slot, read_event(request.headers, request.body, self._unit_of(request.query)))
            elif method == "POST" and into is None and path != FEEDBACK:
                self._refuse(slot, _NO_EVENTS)
            elif method == "POST" and path == FEEDBACK:
                self._take(slot, read_feedback(request.body))
            elif method == "GET" and path == OBSERVATIONS:
                self._submit(slot, _wanted(request.query))
            else:
                slot.answer(self._look(method, path))
        except Malformed as error:
            self._counts["malformed"] += 1
            slot.answer(Response(400, str(error).encode()))

    def _refuse(self, slot: Slot, response: Response) -> None:
        self._counts["unauthorized"] += 1
        slot.answer(response)

    def settle(self, settled: Sequence[tuple[Any, Outcome]]) -> None:
        """Answer, from the loop's thread."""
        answered = [(slot, _response(outcome)) for slot, outcome in settled]
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._answer, answered)

    def _answer(self, answered: Sequence[tuple[Slot, Response]]) -> None:
        for slot, response in answered:
            self._counts["unavailable"] += response.status == 503
            slot.answer(response)

    def _take(self, slot: Slot, event: Event) -> None:
        self._counts[type(event).__name__.lower()] += 1
        self._submit(slot, event)

    def _submit(self, slot: Slot, what: Event | Wanted) -> None:
        assert self._writer is not None
        if self._closing or not self._writer.submit(slot, what):
            self._counts["unavailable"] += 1
            slot.answer(Response(503, b"too much waits to be stored; come again", headers=_LATER))

    def _unit_of(self, query: bytes) -> str | None:
        """A logger's address may say `?unit=NAME`."""
        if not query:
            return self._unit
        if query not in self._units:
            if len(self._units) > 1000:
                self._units.clear()
            said = parse_qs(query.decode("latin-1")).get("unit")
            self._units[query] = said[0] if said else self._unit
        return self._units[query]

    def _look(self, method: str, path: str) -> Response:
        assert self._writer is not None
        known = {*EVENTS, FEEDBACK, OBSERVATIONS, "/healthz", "/readyz", "/metrics"}
        if path not in known:
            return Response(404, b"there is nothing here; events are posted to /")
        if method not in ("GET", "HEAD") or path in (*EVENTS, FEEDBACK):
            return Response(405, f"{method} is not allowed here".encode())
        if path == "/metrics":
            return Response(200, exposition(self._counts, self._writer), "text/plain; version=0.0.4")
        if path == "/readyz" and (self._closing or not self._writer.ready):
            return Response(503, b"shutting down" if self._closing else b"the evidence store does not answer")
        return Response(200, b"ok")


def _wanted(query: bytes) -> Wanted:
    said = {name: values[0] for name, values in parse_qs(query.decode("latin-1")).items()}
    strange = sorted(set(said) - {"deployment", "after", "since", "grace", "limit"})
    if strange:
        raise Malformed(f"there is no parameter {strange[0]}")
    deployment = said.get("deployment", "")
    if "/" not in deployment:
        raise Malformed("say which deployment: ?deployment=NAMESPACE/NAME")
    try:
        return Wanted(
            deployment,
            after=max(0, int(said.get("after", 0))),
            since=round(float(said.get("since", 0)) * 1e6),
            grace=max(0, round(float(said.get("grace", 10)) * 1e6)),
            limit=min(max(1, int(said.get("limit", 5000))), _MOST_ROWS),
        )
    except (ValueError, OverflowError) as error:
        raise Malformed(f"after and limit are whole numbers, since and grace seconds: {error}") from error


def _response(outcome: Outcome) -> Response:
    match outcome:
        case None:
            return _STORED
        case Told(request_id, fate):
            status, words = _FATES[fate]
            document = {"id": request_id, "counted": fate is Fate.COUNTED, "outcome": fate, "message": words}
            return Response(status, orjson.dumps(document), _JSON)
        case Given(rows, cursor, until):
            headers = ((CURSOR, str(cursor)), (UNTIL, f"{until / 1e6:.6f}"))
            return Response(200, to_ipc(observations(rows)), ARROW, headers)
        case Refused(why, for_good=True):
            return Response(400, why.encode())
        case Refused(why):
            return Response(503, why.encode(), headers=_LATER)
