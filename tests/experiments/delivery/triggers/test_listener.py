"""The listener over real sockets: who may post, what is kept, and that nobody holds it up."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from experiments.clocks import StoppedClock
from experiments.delivery.triggers.messages import JSON, alert, cloud_event, payload, pipeline, signed
from experiments.delivery.triggers.test_alias import Held, Registry
from fairtrial.delivery.inbox import Inbox
from fairtrial.delivery.pipeline.model import Listen
from fairtrial.delivery.state import State
from fairtrial.delivery.triggers.choose import listener_of, triggers_of
from fairtrial.delivery.triggers.listener import Listener
from fairtrial.errors import UsageError

DEGRADED = {"name": "degraded", "alert": {"match": {"alertname": "ModelDegraded"}}, "do": ["tryNext"]}
DRIFT = {"name": "drift", "cloudEvent": {"type": "io.seldon.*"}, "do": ["tryNext"]}
_CLIENT = httpx.Client(timeout=30, trust_env=False)
NEW = {"name": "new", "registry": {"webhook": {"secret": {"env": "WINE_WEBHOOK"}}}}


@pytest.fixture
def woken() -> threading.Event:
    return threading.Event()


@pytest.fixture
def listener(tmp_path: Path, woken: threading.Event, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setenv("WINE_WEBHOOK", "signing secret")
    said = pipeline(DEGRADED, DRIFT, NEW)
    triggers = triggers_of(said, Registry(), lambda: None)
    made = listener_of(said, triggers, tmp_path, StoppedClock(), woken.set)
    assert made is not None
    made.start()
    yield made
    made.stop()


def keys(folder: Path) -> list[str]:
    state = State(folder, make=False)
    try:
        return [taken.event.key for taken in Inbox(state).all()]
    finally:
        state.close()


def post(listener: Listener, path: str, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    return _CLIENT.post(f"{listener.url}{path}", content=body, headers=headers or JSON)


def said(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()


def test_an_alert_is_in_the_inbox_when_it_is_answered_and_once(
    listener: Listener, tmp_path: Path, woken: threading.Event
):
    assert said(post(listener, "/alerts", payload(alert()))) == (200, {"new": 1, "known": 0})
    assert len(keys(tmp_path)) == 1
    assert woken.is_set()
    assert said(post(listener, "/alerts", payload(alert()))) == (200, {"new": 0, "known": 1})
    assert len(keys(tmp_path)) == 1


def test_a_cloud_event_and_an_alert_come_in_at_their_paths(listener: Listener, tmp_path: Path):
    structured = {"content-type": "application/cloudevents+json"}
    assert post(listener, "/events", json.dumps(cloud_event()).encode(), structured).status_code == 200
    assert keys(tmp_path) == ["drift:/monitoring/drift:a1"]
    assert post(listener, "/events", payload(alert())).status_code == 400


def test_many_at_once_with_the_same_event_keep_it_once(listener: Listener, tmp_path: Path):
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: said(post(listener, "/alerts", payload(alert()))), range(48)))
    assert sorted(each["new"] for _, each in answers) == [0] * 47 + [1]
    assert len(keys(tmp_path)) == 1


def test_the_registry_s_message_makes_its_trigger_due_and_wakes(tmp_path: Path, woken: threading.Event):
    (tmp_path / "secret").write_text("first\n")
    new = {"name": "new", "registry": {"webhook": {"secret": {"file": "secret"}}}}
    chosen = pipeline(new, folder=tmp_path)
    triggers = triggers_of(chosen, Registry(Held("wine", "7")), lambda: None)
    clock = StoppedClock()
    listener = listener_of(chosen, triggers, tmp_path / "own", clock, woken.set)
    assert listener is not None
    listener.start()
    try:
        (polled,) = triggers.polled
        assert polled.due(100.0, 99.0) == 129.0
        headers = signed("second", b"{}", clock.now())
        assert post(listener, "/registry", b"{}", headers).status_code == 401
        assert polled.due(100.0, 99.0) == 129.0
        assert not woken.is_set()
        (tmp_path / "secret").write_text("second\n")  # turned over while it runs
        for _ in range(2):  # replayed
            assert said(post(listener, "/registry", b"{}", headers)) == (200, {"new": 0, "known": 0})
        assert polled.due(100.0, 99.0) == 100.0
        assert woken.is_set()
        (tmp_path / "secret").unlink()
        assert said(post(listener, "/registry", b"{}", headers)) == (
            503,
            {"error": "the listener cannot check this now; see its log"},
        )
    finally:
        listener.stop()


def test_who_has_not_the_token_is_refused_and_the_token_is_told_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WINE_TOKEN", "s3cret")
    chosen = pipeline(DEGRADED, listen={"port": 0, "token": "WINE_TOKEN"})
    listener = listener_of(
        chosen, triggers_of(chosen, Registry(), lambda: None), tmp_path, StoppedClock(), lambda: None
    )
    assert listener is not None
    listener.start()
    try:
        for wrong in ({}, {"authorization": "Bearer s3cre"}, {"authorization": "s3cret"},
                      {"authorization": "Basic s3cret"}):  # fmt: skip
            answer = post(listener, "/alerts", payload(alert()), JSON | wrong)
            assert answer.status_code == 401
            assert "s3cret" not in answer.text + str(answer.headers)
        assert keys(tmp_path) == []
        right = JSON | {"authorization": "Bearer s3cret"}
        assert post(listener, "/alerts", payload(alert()), right).status_code == 200
        assert httpx.get(f"{listener.url}/healthz").json() == {"status": "ok"}
    finally:
        listener.stop()


def test_a_token_that_is_not_set_and_a_port_that_is_taken_are_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(
        UsageError, match=r"spec\.listen\.token: the environment's NO_SUCH is empty or not set"
    ):
        Listener(Listen(port=0, token="NO_SUCH"), {}, tmp_path, StoppedClock(), lambda: None)
    monkeypatch.setenv("WINE_TOKEN", "tökén")
    with pytest.raises(UsageError, match="the environment's WINE_TOKEN has characters that no sender can"):
        Listener(Listen(port=0, token="WINE_TOKEN"), {}, tmp_path, StoppedClock(), lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot listen at 127.0.0.1:{port}: Address already in use"):
            Listener(Listen(port=port), {}, tmp_path, StoppedClock(), lambda: None)
    with pytest.raises(UsageError, match=r"cannot listen at no\.such\.host\.invalid:"):
        Listener(Listen(address="no.such.host.invalid", port=0, token="HOME"), {}, tmp_path, StoppedClock(),
                 lambda: None)  # fmt: skip


def test_a_page_in_a_browser_cannot_post(listener: Listener, tmp_path: Path):
    answer = post(listener, "/alerts", payload(alert()), JSON | {"origin": "http://127.0.0.1"})
    assert said(answer) == (403, {"error": "browsers may not post here"})
    assert keys(tmp_path) == []


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        (b"POST /alerts HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000, 413, "larger than"),
        (b"POST /alerts HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400, "Content-Length is no number"),
        (b"POST /alerts HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, "Content-Length"),
        (b"POST /alerts HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort", 400, "shorter than"),
        (b"POST /elsewhere HTTP/1.1\r\n\r\n", 404, "there is /alerts, /events, /registry, /healthz"),
        (b"GET /alerts HTTP/1.1\r\n\r\n", 405, "expected POST"),
        (b"POST /healthz HTTP/1.1\r\n\r\n", 405, "expected GET"),
        (b"BREW /alerts HTTP/1.1\r\n\r\n", 501, "Unsupported method"),
        (b"nonsense\r\n\r\n", 400, "Bad request syntax"),
        (b"POST /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414, "Too Long"),
        (b"POST /alerts HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431, "Too many headers"),
    ],
)  # fmt: skip
def test_what_is_not_for_us_is_refused_in_json(listener: Listener, request_: bytes, status: int, words: str):
    answer = exchange(listener, request_)
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP"):
        assert int(head.split()[1]) == status
    else:
        body = head  # what is no request has no version, and gets no headers
    assert words.lower() in json.loads(body)["error"].lower()
    assert b"Traceback" not in answer


def exchange(listener: Listener, request: bytes) -> bytes:
    port = int(listener.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while more := client.recv(65536):
            answer += more
    return answer


def test_slow_senders_are_cut_off_and_hold_up_nobody(tmp_path: Path):
    listener = Listener(Listen(port=0), {}, tmp_path, StoppedClock(), lambda: None, patience=0.4)
    listener.start()
    port = int(listener.url.rpartition(":")[2])
    slow = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(40)]
    try:
        for each in slow:
            each.sendall(b"POST /alerts HTTP/1.1\r\nContent-Length: 10\r\n\r\nx")
        assert httpx.get(f"{listener.url}/healthz", timeout=10).status_code == 200
        assert slow[0].recv(65536).startswith(b"HTTP/1.0 408")
    finally:
        for each in slow:
            each.close()
        listener.stop()


def test_what_cannot_be_kept_is_not_answered_with_success(
    listener: Listener, tmp_path: Path, woken: threading.Event
):
    connection = listener._state.connection  # pyright: ignore[reportPrivateUsage]
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")  # as a full disk: SQLite says the same of both
    large = payload(alert(annotations={"summary": "x" * 100_000}))
    assert said(post(listener, "/alerts", large)) == (
        503,
        {"error": "what was told cannot be kept; tell it again"},
    )
    assert not woken.is_set()
    assert keys(tmp_path) == []
    connection.execute("PRAGMA max_page_count = 100000")
    assert said(post(listener, "/alerts", large)) == (200, {"new": 1, "known": 0})


_SERVER = """
import sys, time
from pathlib import Path
from fairtrial.clock import SystemClock
from fairtrial.delivery.pipeline.model import Listen
from fairtrial.delivery.triggers.alerts import Alerts
from fairtrial.delivery.triggers.listener import Listener
told = {"/alerts": Alerts({"degraded": {"alertname": "ModelDegraded"}})}
listener = Listener(Listen(port=int(sys.argv[2])), told, Path(sys.argv[1]), SystemClock(), lambda: None)
listener.start()
print(listener.url, flush=True)
time.sleep(100)
"""


def test_a_sender_that_repeats_until_it_is_answered_loses_nothing_to_a_kill_and_doubles_nothing(
    tmp_path: Path,
):
    answered: list[str] = []
    number = 0
    port = 0
    for _ in range(3):
        argv = [sys.executable, "-c", _SERVER, str(tmp_path), str(port)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            port = int(url.rpartition(":")[2])
            killer = threading.Timer(0.05, os.kill, (process.pid, signal.SIGKILL))
            try:
                while True:
                    body = payload(alert(fingerprint=str(number)))
                    assert _CLIENT.post(f"{url}/alerts", content=body, headers=JSON).status_code == 200
                    answered.append(str(number))
                    number += 1  # one that was not answered is told again to the next
                    if killer.ident is None:
                        killer.start()
            except httpx.HTTPError:
                pass
            killer.join()
    fingerprints = [key.split(":")[1] for key in keys(tmp_path)]
    assert len(answered) >= 3, "one before each kill"
    assert fingerprints[: len(answered)] == answered
    assert len(fingerprints) in (len(answered), len(answered) + 1)
