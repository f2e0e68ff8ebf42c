"""The request logger: what nodes are asked and answer, as CloudEvents, to where the manifest says."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import sys
import time
import uuid
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from fairtrial_graphs.backends.local.executor.graph import Graph, GraphNode
from fairtrial_graphs.backends.local.executor.messages import Kind, Message

_TYPES: Mapping[Kind, str] = {
    "request": "io.seldon.serving.inference.request",
    "response": "io.seldon.serving.inference.response",
    "feedback": "io.seldon.serving.feedback",
}
#: By the logger's mode. Feedback is logged with answers.
_MODES: Mapping[str, frozenset[Kind]] = {
    "request": frozenset({"request"}),
    "response": frozenset({"response", "feedback"}),
    "all": frozenset({"request", "response", "feedback"}),
}
_WORKERS = 10
_MOST_HELD = 256 << 20  # bytes of bodies
_PATIENCE = 60.0  # seconds that a logger may take
_FAREWELL = 1.0  # seconds for what is queued, at the end
_TELL_EVERY = 10.0  # seconds


@dataclass(frozen=True)
class _Event:
    url: str
    headers: Mapping[str, str]
    message: Message


class RequestLog:
    """Takes messages without waiting, and sends them later. What does not fit is lost, and that is told."""

    def __init__(self, graph: Graph, source: str) -> None:
        """`source` is the executor's address, by which events say where they are from."""
        self._graph = graph
        self._source = source
        self._queue: asyncio.Queue[_Event] = asyncio.Queue(graph.log_queue)
        self._held = 0  # bytes
        self._lost = 0
        self._told = -_TELL_EVERY

    def of(self, puid: str, headers: Mapping[str, str | bytes]) -> Callable[[GraphNode, Kind, Message], None]:
        """What notes the messages of one request, which may have asked not to be logged."""
        skips = _skips_log(headers)

        def note(node: GraphNode, kind: Kind, message: Message) -> None:
            if not skips:
                self.note(node, kind, message, puid)

        return note

    def note(self, node: GraphNode, kind: Kind, message: Message, puid: str) -> None:
        if not node.log_url or kind not in _MODES.get(node.log_mode, ()):
            return
        if self._held + len(message.body) > _MOST_HELD:
            self._lose("the queue is full")
            return
        event = _Event(node.log_url, self._headers(node, kind, message, puid), message)
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self._lose("the queue is full")
        else:
            self._held += len(message.body)

    @asynccontextmanager
    async def sending(self) -> AsyncGenerator[None]:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            workers = [asyncio.create_task(self._work(session)) for _ in range(_WORKERS)]
            try:
                yield
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._queue.join(), _FAREWELL)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, session: aiohttp.ClientSession) -> None:
        while True:
            event = await self._queue.get()
            try:
                await _send(session, event)
            except (aiohttp.ClientError, OSError, EOFError, ValueError, zlib.error) as error:
                self._lose(f"{event.url}: {str(error) or f'no answer within {_PATIENCE:g} s'}")
            finally:
                self._held -= len(event.message.body)
                self._queue.task_done()

    def _headers(self, node: GraphNode, kind: Kind, message: Message, puid: str) -> dict[str, str]:
        headers = {
            "Ce-Specversion": "1.0",
            "Ce-Id": str(uuid.uuid4()),
            "Ce-Source": self._source,
            "Ce-Type": _TYPES[kind],
            "Ce-Time": _now(),
            "Ce-Requestid": puid,
            "Ce-Modelid": node.name,
            "Ce-Inferenceservicename": self._graph.deployment,
            "Ce-Namespace": self._graph.namespace,
            "Ce-Endpoint": self._graph.predictor,
            "Ce-Protocol": self._graph.protocol,
        }
        return {**headers, "Content-Type": message.content_type} if message.content_type else headers

    def _lose(self, why: str) -> None:
        self._lost += 1
        now = time.monotonic()
        if now - self._told >= _TELL_EVERY:
            self._told = now
            print(f"request log: {self._lost} messages lost so far; {why}", file=sys.stderr, flush=True)


def _skips_log(headers: Mapping[str, str | bytes]) -> bool:
    """Whether a request asks not to be logged; names in any case."""
    said = next((value for name, value in headers.items() if name.lower() == "seldon-skip-logging"), "")
    return str(said).lower() in {"true", "on", "1"}


async def _send(session: aiohttp.ClientSession, event: _Event) -> None:
    """Raises aiohttp's errors, also for an answer that is none of success."""
    body = event.message.body
    if event.message.encoding == "gzip":
        body = gzip.decompress(body)
    # Without a content type there is to be none, where aiohttp would make one.
    skipped = () if "Content-Type" in event.headers else ("Content-Type",)
    async with session.post(
        event.url, data=body, headers=event.headers, skip_auto_headers=skipped, raise_for_status=True
    ):
        pass


def _now() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds:09d}Z"
