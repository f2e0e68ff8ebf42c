"""A small HTTP load: callers with one connection each, for a count or until told to stop."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

MOST = 60_000  # requests of a load that is told to stop: it ends by itself at this many


@dataclass(frozen=True)
class Answer:
    status: int  # 0: none
    arm: str | None
    revision: str | None
    model: str | None
    key: str | None
    sent: float  # monotonic
    server: int | None = None  # process id, if a model answered


class Load:
    """`key_of` gives the sticky header's value for request number i, or None."""

    def __init__(
        self,
        url: str,
        *,
        callers: int = 8,
        count: int = MOST,
        path: str = "/v2/models/anything/infer",
        key_of: Callable[[int], str | None] = lambda _: None,
        key_header: str = "x-user",
    ) -> None:
        self.answers: list[Answer] = []
        self._url = urlsplit(url)
        self._callers = callers
        self._count = count
        self._path = path
        self._key_of = key_of
        self._key_header = key_header
        self._sent = 0
        self._stop = False

    def run(self) -> list[Answer]:
        asyncio.run(self._run())
        return self.answers

    @contextmanager
    def in_background(self) -> Iterator[Load]:
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield self
        finally:
            self._stop = True
            thread.join()

    def wait_for(self, more: int, timeout: float = 10.0) -> None:
        """Until this many further answers have come."""
        wanted, deadline = len(self.answers) + more, time.monotonic() + timeout
        while len(self.answers) < wanted:
            assert time.monotonic() < deadline, f"{len(self.answers)} answers, {wanted} wanted"
            time.sleep(0.005)

    def begin(self) -> tuple[int, str | None, bytes] | None:
        """The next request: its number, key and bytes; None when the load is over."""
        if self._stop or self._sent >= self._count:
            return None
        number = self._sent
        self._sent += 1
        key = self._key_of(number)
        body = f'{{"id": "{number}", "inputs": []}}'
        own = f"{self._key_header}: {key}\r\n" if key else ""
        head = f"POST {self._path} HTTP/1.1\r\nhost: x\r\n{own}content-length: {len(body)}\r\n\r\n"
        return number, key, (head + body).encode()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(60), asyncio.TaskGroup() as callers:
            for _ in range(self._callers):
                callers.create_task(self._caller(loop))

    async def _caller(self, loop: asyncio.AbstractEventLoop) -> None:
        while (request := self.begin()) is not None:
            over = loop.create_future()
            try:
                await loop.create_connection(
                    lambda first=request, over=over: _Caller(self, first, over),
                    self._url.hostname,
                    self._url.port,
                )
                await over
            except OSError:
                self.answers.append(Answer(0, None, None, None, request[1], time.monotonic()))
                await asyncio.sleep(0.002)


class _Caller(asyncio.Protocol):
    """One connection: sends a request, reads its answer, sends the next."""

    def __init__(self, load: Load, first: tuple[int, str | None, bytes], over: asyncio.Future[None]) -> None:
        self._load = load
        self._next: tuple[int, str | None, bytes] | None = first
        self._over = over
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        if self._next is None:
            self._transport.close()
            return
        _, self._key, request = self._next
        self._sent = time.monotonic()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        first, *lines = head.decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        if len(body) < int(headers["content-length"]):
            return
        self._received = b""
        status = int(first.split(" ")[1])
        said = json.loads(body) if body[:1] == b"{" else {}
        arm, revision = headers.get("x-fairtrial-arm"), headers.get("x-fairtrial-revision")
        self._load.answers.append(
            Answer(status, arm, revision, said.get("model_name"), self._key, self._sent, said.get("server"))
        )
        self._next = self._load.begin()
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._next is not None:  # cut off in the middle of a request
            self._load.answers.append(Answer(0, None, None, None, self._key, self._sent))
        if not self._over.done():
            self._over.set_result(None)
