"""The collector as a process: listens, collects, and on SIGTERM stores what it took and ends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import uvloop
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from fairtrial.clock import Clock
from fairtrial.collect.access import Access
from fairtrial.collect.database import open_database
from fairtrial.collect.protocol import Connection
from fairtrial.collect.service import Service
from fairtrial.collect.writer import Writer
from fairtrial.errors import NotReadyError

_FAREWELL = 5.0  # seconds for the answers that are owed


@dataclass(frozen=True)
class Settings:
    store: str  # the database's address
    host: str = "127.0.0.1"
    port: int = 8080  # 0: a free one
    unit: str | None = None  # where requests name their unit, unless a logger's address says
    retention: float = 86_400.0  # seconds for which anything is kept
    most_waiting: int = 20_000  # events that may wait to be stored
    most_body: int = 16 << 20  # bytes
    name: str | None = None  # of this collector among those of one store
    access: Access = field(default_factory=Access, repr=False)


def serve(settings: Settings, clock: Clock, ready: Callable[[str], None]) -> None:
    """Collect until SIGTERM or SIGINT. ready: told the address once events are taken.

    Raises UsageError, NotReadyError.
    """
    engine = open_database(settings.store)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, engine, clock, ready))
    finally:
        engine.dispose()


async def _serve(settings: Settings, engine: Engine, clock: Clock, ready: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    service = Service(loop, settings.unit, settings.access)
    listener = _listen(settings)
    port: int = listener.getsockname()[1]
    name = settings.name or f"{socket.gethostname()}:{port}"
    writer = Writer(
        engine, name, service.settle, clock, retention=settings.retention, most=settings.most_waiting
    )
    service.use(writer)
    try:
        writer.start()
    except SQLAlchemyError as error:
        listener.close()
        raise NotReadyError(f"the evidence store does not answer: {error.__cause__ or error}") from error
    connections: set[Connection] = set()
    server = await loop.create_server(
        lambda: Connection(service.handle, settings.most_body, connections), sock=listener, backlog=1024
    )
    ready(f"http://{settings.host}:{port}")
    await stop.wait()
    service.drain()
    server.close()
    await asyncio.to_thread(writer.close)
    await asyncio.sleep(0)  # the last answers are on their way from the writer
    for connection in list(connections):
        connection.close_when_idle()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_FAREWELL):
            while connections:
                await asyncio.sleep(0.01)


def _listen(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), backlog=1024)
    except OSError as error:
        raise NotReadyError(
            f"cannot listen at {settings.host}:{settings.port}: {error.strerror or error}; choose another "
            "address by --host and --port"
        ) from error
