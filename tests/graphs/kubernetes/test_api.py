"""Requests to an API server that is overloaded, fails, or breaks off: a real HTTP server plays it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fairtrial_graphs.backends.kubernetes.api import Api
from fairtrial_graphs.backends.kubernetes.errors import ApiError, Expired
from fairtrial_graphs.backends.kubernetes.kinds import POD
from fairtrial_graphs.backends.kubernetes.observer import Observer
from kubernetes.client import ApiClient, Configuration

GOOD = (200, {}, {"metadata": {"name": "p"}})
MISSING = (404, {}, {"reason": "NotFound", "message": "pods p not found"})


class Server:
    """Answers with what it was given, in turn; None breaks the connection off."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], Any] | None] = []
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                answer = outer.answers.pop(0)
                if answer is None:
                    self.connection.close()
                    return
                status, headers, body = answer
                lines = body if isinstance(body, list) else [body]
                content = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
                content = content[: -int(headers.get("x-cut", "0")) or None]
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_DELETE = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def api(server: Server, clock: Time) -> Api:
    client = ApiClient(Configuration(host=server.url))
    return Api(client, patience=20.0, clock=lambda: clock.now, sleep=clock.sleep)


def test_a_request_is_sent_again_until_it_is_answered(server: Server, api: Api, clock: Time):
    server.answers = [(429, {"Retry-After": "7"}, {}), (500, {}, {}), None, GOOD]
    assert api.get(POD, "shop", "p") == GOOD[2]
    assert server.asked == ["/api/v1/namespaces/shop/pods/p"] * 4
    assert clock.slept[0] == 7.0
    assert len(clock.slept) == 3


def test_it_is_given_up_when_patience_ends_with_what_was_said_last(server: Server, api: Api, clock: Time):
    server.answers = [(503, {}, {"message": "etcd is gone"})] * 100
    with pytest.raises(ApiError, match="etcd is gone"):
        api.get(POD, "shop", "p")
    assert 20.0 < clock.now < 30.0


def test_a_server_that_is_not_there_is_told_by_its_address(api: Api, server: Server):
    server.answers = [None] * 100
    with pytest.raises(ApiError, match=f"{server.url} does not answer"):
        api.get(POD, "shop", "p")


def test_what_is_missing_is_none_and_is_deleted_already(server: Server, api: Api):
    server.answers = [MISSING, MISSING]
    assert api.get(POD, "shop", "p") is None
    api.delete(POD, "shop", "p")


def test_a_refusal_is_not_repeated(server: Server, api: Api):
    server.answers = [(422, {}, {"message": "spec is wrong"})]
    with pytest.raises(ApiError, match="spec is wrong"):
        api.get(POD, "shop", "p")


def test_a_watch_ends_with_its_connection_and_says_when_it_must_begin_anew(server: Server, api: Api):
    added = {"type": "ADDED", "object": GOOD[2]}
    expired = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}
    server.answers = [(200, {}, [added, expired]), (200, {"x-cut": "5"}, [added, added])]
    events = iter(api.watch(POD, "shop", "1"))
    assert next(events) == ("ADDED", GOOD[2])
    with pytest.raises(Expired):
        next(events)
    whole = list(api.watch(POD, "shop", "1"))
    assert len(whole) == 1, "what follows the last end of line is half an event"
    assert "resourceVersion=1" in server.asked[0]


def test_a_watch_that_tells_what_nobody_can_read_is_a_trouble_and_begun_anew(server: Server, api: Api):
    def pod(name: str) -> dict[str, Any]:
        return {"metadata": {"namespace": "shop", "name": name, "resourceVersion": "7"}}

    listed = (200, {}, {"items": [pod("p")], "metadata": {"resourceVersion": "5"}})
    strange = (200, {}, [{"type": "ADDED", "object": {}}])
    server.answers = [listed, *[strange, listed] * 5, (200, {}, [{"type": "ADDED", "object": pod("q")}])]
    server.answers += [None] * 50
    observer = Observer(api, [POD], "shop")
    observer.start()
    troubles: set[str | None] = set()
    try:
        for _ in range(400):
            observer.wait(observer.changes, 0.05)
            troubles.add(observer.trouble)
            if observer.get(POD, "shop", "q") is not None:
                break
    finally:
        observer.stop()
    assert observer.get(POD, "shop", "q") is not None, troubles
    assert "pods cannot be watched: KeyError: 'metadata'" in troubles
