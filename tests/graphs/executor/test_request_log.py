"""What the executor sends to a logger: a graph that it answers by itself, and a logger, in one event loop."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from fairtrial_graphs.backends.local.executor.graph import Graph, GraphNode
from fairtrial_graphs.backends.local.executor.messages import Message
from fairtrial_graphs.backends.local.executor.request_log import RequestLog
from fairtrial_graphs.backends.local.executor.server import application
from fairtrial_graphs.backends.local.ports import free_ports

ROW = {"data": {"ndarray": [[1.0]]}}


class Logger:
    """Keeps what it gets; answers with `status`, and not before `goes` is set."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.goes = asyncio.Event()
        self.goes.set()
        self.got: list[tuple[Mapping[str, str], bytes]] = []
        self.more = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        async with self.more:
            self.got.append(({name.lower(): v for name, v in request.headers.items()}, await request.read()))
            self.more.notify_all()
        await self.goes.wait()
        return web.Response(status=self.status)

    async def events(self, count: int) -> list[tuple[Mapping[str, str], bytes]]:
        async with self.more:
            await asyncio.wait_for(self.more.wait_for(lambda: len(self.got) >= count), 10)
        return self.got


@asynccontextmanager
async def running(app: web.Application, port: int) -> AsyncIterator[str]:
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


Use = Callable[[Logger, Callable[..., Awaitable[int]]], Awaitable[None]]


def run(use: Use, mode: str = "all", status: int = 200, log: str = "", **more: Any) -> None:
    """`use` gets the logger, and a function that asks the executor and gives the status."""

    async def serve_and_use() -> None:
        http, grpc, other = free_ports(3)
        logger = Logger(status)
        logs = web.Application()
        logs.router.add_post("/events", logger.take)
        leaf = GraphNode("m", implementation="SIMPLE_MODEL")
        url = log or f"http://127.0.0.1:{other}/events"
        root = GraphNode("r", implementation="SIMPLE_ROUTER", children=(leaf,), log_url=url, log_mode=mode)
        graph = Graph("wine", "main", "", "seldon", root, namespace="team", **more)
        async with (
            running(logs, other),
            running(application(graph, http, grpc), http) as address,
            aiohttp.ClientSession() as session,
        ):

            async def ask(path: str = "predictions", content: Any = ROW, **headers: str) -> int:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                url = f"{address}/api/v1.0/{path}"
                async with session.post(url, json=content, headers=named) as response:
                    await response.read()
                    return response.status

            await use(logger, ask)
            logger.goes.set()

    asyncio.run(asyncio.wait_for(serve_and_use(), 30))


def test_request_and_response_are_events_that_belong_together():
    async def use(logger: Logger, ask: Any) -> None:
        assert await ask(Seldon_Puid="mine") == 200
        (asked, body), (answered, answer) = sorted(await logger.events(2), key=lambda got: got[0]["ce-type"])
        assert json.loads(body) == ROW
        assert json.loads(answer)["data"]["tensor"]["values"] == [0.1, 0.9, 0.5]
        assert asked["ce-type"] == "io.seldon.serving.inference.request"
        assert answered["ce-type"] == "io.seldon.serving.inference.response"
        assert asked["ce-id"] != answered["ce-id"]
        times = [datetime.fromisoformat(event["ce-time"]) for event in (asked, answered)]
        assert times[0] <= times[1]
        of_both = {
            "ce-specversion": "1.0",
            "ce-requestid": "mine",
            "ce-modelid": "r",
            "ce-inferenceservicename": "wine",
            "ce-namespace": "team",
            "ce-endpoint": "main",
            "ce-protocol": "seldon",
            "content-type": "application/json",
        }
        for event in (asked, answered):
            assert {name: event[name] for name in of_both} == of_both
            assert event["ce-source"].startswith("http://localhost:")

    run(use)


@pytest.mark.parametrize(
    ("mode", "kinds"), [("request", ["request"]), ("response", ["response", "feedback"])]
)
def test_the_mode_says_what_is_logged(mode: str, kinds: list[str]):
    async def use(logger: Logger, ask: Any) -> None:
        await ask()
        await ask("feedback", {"reward": 0})
        await logger.events(len(kinds))

    async def check(logger: Logger, ask: Any) -> None:
        await use(logger, ask)
        got = sorted(headers["ce-type"].rpartition(".")[2] for headers, _ in logger.got)
        assert got == sorted(kinds)

    run(check, mode)


def test_a_request_that_asks_for_it_is_not_logged():
    async def use(logger: Logger, ask: Any) -> None:
        await ask(Seldon_Skip_Logging="True", Seldon_Puid="secret")
        await ask(Seldon_Puid="told")
        assert {headers["ce-requestid"] for headers, _ in await logger.events(2)} == {"told"}

    run(use)


def test_a_logger_that_hangs_delays_no_answer_and_what_does_not_fit_is_lost_and_told(
    capsys: pytest.CaptureFixture[str],
):
    async def use(logger: Logger, ask: Any) -> None:
        logger.goes.clear()
        start = time.monotonic()
        for _ in range(30):
            assert await ask() == 200
        assert time.monotonic() - start < 5
        assert len(logger.got) <= 10  # one a worker

    run(use, log_queue=5)
    assert "messages lost so far; the queue is full" in capsys.readouterr().err


@pytest.mark.parametrize("log", ["", "http://127.0.0.1:1/", "no address", "ftp://127.0.0.1/"])
def test_a_logger_that_fails_fails_no_request(log: str, capsys: pytest.CaptureFixture[str]):
    async def use(_: Logger, ask: Any) -> None:
        for _ in range(12):  # more than there are workers: each goes on
            assert await ask() == 200

    run(use, status=500, log=log)
    assert "request log: 1 messages lost so far; " in capsys.readouterr().err


def test_what_was_answered_compressed_is_logged_as_it_reads():
    async def note_and_send() -> Logger:
        (port,) = free_ports(1)
        logger = Logger()
        logs = web.Application()
        logs.router.add_post("/", logger.take)
        node = GraphNode("m", log_url=f"http://127.0.0.1:{port}/", log_mode="all")
        log = RequestLog(Graph("d", "p", "", "v2", node), "http://localhost/")
        async with running(logs, port), log.sending():
            log.note(node, "response", Message(b"no gzip", "", "gzip"), "1")
            log.note(node, "response", Message(gzip.compress(b"words"), "text/plain", "gzip"), "2")
            log.note(node, "response", Message(b"bytes", ""), "3")
        return logger  # what was queued has been sent by the end

    got = {headers["ce-requestid"]: (headers, body) for headers, body in asyncio.run(note_and_send()).got}
    assert {puid: body for puid, (_, body) in got.items()} == {"2": b"words", "3": b"bytes"}
    assert "content-type" not in got["3"][0]
