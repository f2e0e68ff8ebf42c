"""The collector as a process: what it acknowledged is there, whatever is done to it."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from experiments.collect.collectors import Collector, collecting, event_headers, predicted
from experiments.runs import fairtrial
from fairtrial.cli.group import cli
from fairtrial_graphs.backends.local.executor.graph import Graph, GraphNode
from fairtrial_graphs.backends.local.executor.messages import Message
from fairtrial_graphs.backends.local.executor.request_log import RequestLog


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "evidence.db"


@pytest.fixture
def collector(store: Path) -> Iterator[Collector]:
    with collecting(store) as found:
        yield found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """For tests that leave it as it is."""
    with collecting(tmp_path_factory.mktemp("shared") / "evidence.db") as found:
        yield found


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Another process holds the file: nothing can be stored."""
    connection = sqlite3.connect(store, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_what_the_executor_logs_becomes_observations(shared: Collector):
    node = GraphNode("wine", log_url=f"{shared.url}/?unit=customer", log_mode="all")
    graph = Graph("wine", "v2", "", "v2", node, namespace="logged")
    log = RequestLog(graph, "http://localhost:8000/")

    async def serve() -> None:
        async with log.sending():
            for number in range(20):
                asked = {"parameters": {"customer": f"c{number % 3}"}, "inputs": []}
                log.note(
                    node, "request", Message(json.dumps(asked).encode(), "application/json"), f"r{number}"
                )
                if number != 7:  # it failed
                    answer = json.dumps(predicted(number)).encode()
                    log.note(node, "response", Message(answer, "application/json"), f"r{number}")

    asyncio.run(serve())
    assert shared.feedback(id="r3", truth=3).document["counted"]

    rows = {row["id"]: row for row in shared.observations(deployment="logged/wine")}

    assert len(rows) == 20
    assert [number for number in range(20) if rows[f"r{number}@v2"]["status"] != 200] == [7]
    assert rows["r7@v2"]["status"] == 0
    assert (rows["r3@v2"]["prediction"], rows["r3@v2"]["score"]) == ("3", 1.0)
    assert {row["unit"] for row in rows.values()} == {"c0", "c1", "c2"}
    assert all(0 <= row["latency"] < 1 for row in rows.values())


def test_what_was_acknowledged_outlives_a_kill(collector: Collector):
    stop = threading.Event()
    acknowledged: list[str] = []

    def post(thread: int) -> None:
        number = 0
        while not stop.is_set():
            name = f"r{thread}-{number}"
            try:
                if collector.tell("request", name, number) == collector.tell("response", name, number) == 202:
                    acknowledged.append(name)
            except OSError:
                return
            number += 1

    threads = [threading.Thread(target=post, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 100:
        time.sleep(0.01)
    assert collector.end(signal.SIGKILL) == -signal.SIGKILL
    stop.set()
    for thread in threads:
        thread.join()
    collector.start()

    given = [row["id"] for row in collector.observations()]

    assert len(given) == len(set(given))
    assert {f"{name}@v1" for name in acknowledged} <= set(given)


def test_sigterm_stores_what_was_taken_and_ends(collector: Collector):
    assert collector.tell("request", "r", 0) == 202
    assert collector.end() == 0
    collector.start()
    assert len(collector.observations()) == 1


def test_what_is_malformed_is_told_and_the_rest_goes_on(shared: Collector):
    bad = shared.ask("POST", "/", "{}", {"Ce-Type": "io.seldon.serving.inference.request"})
    assert (bad.status, bad.body) == (400, b"the event has no requestid (header Ce-Requestid)")
    assert shared.ask("POST", "/feedback", "{").status == 400
    assert shared.ask("GET", "/observations").status == 400
    assert shared.ask("GET", "/observations?deployment=a/b&after=x").status == 400
    assert shared.ask("GET", "/elsewhere").status == 404
    assert shared.ask("GET", "/feedback").status == 405
    assert shared.tell("request", "r", 0) == 202


def test_beyond_what_may_wait_nothing_is_taken_until_there_is_room(store: Path):
    with collecting(store, "--max-waiting", "5") as collector:
        statuses: list[int] = []
        with locked(store):
            threads = [
                threading.Thread(target=lambda n=n: statuses.append(collector.tell("request", f"r{n}", n)))
                for n in range(40)
            ]
            for thread in threads:
                thread.start()
            while statuses.count(503) < 20:
                time.sleep(0.01)
            full = collector.ask("POST", "/", "null", event_headers("request", "more", 0))
            assert (full.status, full.headers["retry-after"]) == (503, "1")
            assert collector.ask("GET", "/healthz").status == 200
        for thread in threads:
            thread.join()
        assert collector.tell("request", "again", 0) == 202
        assert collector.metric("stored_total") == statuses.count(202) + 1
        assert len(collector.observations()) == statuses.count(202) + 1
    with sqlite3.connect(store) as connection:
        gaps = connection.execute('SELECT start < "end" FROM fairtrial_gaps').fetchall()
    connection.close()
    assert gaps == [(1,)]  # what has no answer then says nothing of its arm


def test_a_disk_that_is_full_is_waited_for(store: Path):
    with collecting(store) as collector:
        assert collector.process is not None
        limit = store.with_name("evidence.db-wal").stat().st_size
        resource.prlimit(collector.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        refused = collector.ask("POST", "/", "null", event_headers("request", "r", 0))
        assert refused.status == 503
        assert refused.body.startswith(b"the evidence store does not answer: ")
        assert collector.ask("GET", "/readyz").status == 503
        resource.prlimit(
            collector.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )
        _await(collector, 200)
        assert collector.tell("request", "r", 0) == collector.tell("response", "r", 1) == 202
        assert len(collector.observations()) == 1


@pytest.mark.slow  # PostgreSQL is made, and started twice
def test_a_database_that_goes_and_comes_back(postgres_of_its_own):
    database = postgres_of_its_own
    with database.serving():
        collector = Collector(database.url)
        collector.start()
        assert collector.tell("request", "before", 0) == collector.tell("response", "before", 3) == 202
    try:
        gone = collector.ask("POST", "/", "null", event_headers("request", "during", 0))
        assert (gone.status, gone.headers["retry-after"]) == (503, "1")
        assert b"tester" not in gone.body
        assert collector.ask("GET", "/readyz").status == 503
        with database.serving():
            _await(collector, 200)
            assert collector.tell("request", "after", 1) == collector.tell("response", "after", 3) == 202
            assert [row["id"] for row in collector.observations()] == ["before@v1", "after@v1"]
    finally:
        collector.end()


@pytest.fixture
def postgres_of_its_own():
    from experiments.collect.postgres import new_postgres

    with new_postgres() as database:
        yield database


def _await(collector: Collector, status: int) -> None:
    deadline = time.monotonic() + 20
    while collector.ask("GET", "/readyz").status != status:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_requests_of_one_connection_are_answered_in_their_order(shared: Collector):
    body = b'{"id":"of-nobody","reward":1}'
    feedback = b"POST /feedback HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    health = b"GET /healthz HTTP/1.1\r\n\r\n"
    with socket.create_connection(("127.0.0.1", shared.port), 10) as connection:
        connection.sendall((feedback + health) * 100 + b"GET /x HTTP/1.1\r\nConnection: close\r\n\r\n")
        answered = b"".join(iter(lambda: connection.recv(65536), b""))
    statuses = [int(part[:3]) for part in answered.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [202, 200] * 100 + [404]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"what is this\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"X-Long: %s\r\n" % (b"x" * 1000) * 100 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nContent-Length: 20000000\r\n\r\n" + b"x" * 17_000_000, 413),
    ],
)
def test_what_is_no_request_is_answered_and_the_connection_ends(shared: Collector, sent: bytes, status: int):
    with socket.create_connection(("127.0.0.1", shared.port), 10) as connection:
        try:
            connection.sendall(sent)
            answered = b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:  # it was closed while we were sending
            answered = b"HTTP/1.1 %d" % status
    assert answered.startswith(b"HTTP/1.1 %d" % status)
    assert shared.ask("GET", "/healthz").status == 200


def test_a_port_that_is_taken_is_told(shared: Collector, tmp_path: Path):
    store = f"sqlite:///{tmp_path / 'other.db'}"
    told = fairtrial("collect", "--port", str(shared.port), "--store", store, cwd=tmp_path)
    assert told.returncode == 3
    assert f"cannot listen at 127.0.0.1:{shared.port}" in told.stderr


def test_a_retention_that_is_no_duration_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(cli, ["collect", "--retention", "long"])
    assert told.exit_code == 2
    assert "--retention: expected a duration" in told.output
    assert not (tmp_path / "evidence.db").exists()
