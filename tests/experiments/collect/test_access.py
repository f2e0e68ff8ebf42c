"""Who may post to a collector and read from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from experiments.collect.collectors import Collector, collecting, event_headers, predicted
from fairtrial.collect.access import Access
from fairtrial.controller.request_log import RequestLog
from fairtrial.errors import UsageError

TOKEN, PATH = "a-token-of-some-length", "a-path-of-some-length"
SAID = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    store = tmp_path_factory.mktemp("guarded") / "evidence.db"
    with collecting(store, FAIRTRIAL_COLLECTOR_TOKEN=TOKEN, FAIRTRIAL_COLLECTOR_PATH=PATH) as collector:
        yield collector


def test_events_come_in_by_the_secret_address_alone(guarded: Collector):
    for path in ("/", "/events", "/a-path-of-some-lengtH", f"/x{PATH}/", f"/{PATH}x"):
        assert guarded.tell("request", "stranger", 0, path=path) == 403
    assert guarded.tell("request", "r1", 0, path=f"/{PATH}") == 202
    assert guarded.tell("response", "r1", 900, predicted(1), path=f"/{PATH}/?unit=id") == 202
    answer = guarded.ask("GET", "/observations?deployment=team/wine&grace=0", headers=SAID)
    assert answer.status == 200
    body = json.dumps(predicted(1)).encode()
    assert guarded.ask("POST", f"/{PATH}/feedback", body, event_headers("request", "r2", 0)).status == 404


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer \u00e9"]
)
def test_who_does_not_have_the_token_reads_nothing_and_tells_nothing(
    guarded: Collector, authorization: str | None
):
    headers = {} if authorization is None else {"Authorization": authorization}
    read = guarded.ask("GET", "/observations?deployment=team/wine&grace=0", headers=headers)
    told = guarded.ask("POST", "/feedback", json.dumps({"id": "r1", "reward": 1}), headers)
    assert (read.status, told.status) == (401, 401)
    assert {name.lower(): value for name, value in read.headers.items()}["www-authenticate"] == "Bearer"


def test_who_has_it_may_tell_and_read(guarded: Collector):
    told = guarded.ask("POST", "/feedback", json.dumps({"id": "later", "reward": 1}), SAID)
    assert told.status == 202
    log = RequestLog(guarded.url, "team/wine", since=0, window=0, token=TOKEN)
    assert log.read(None).table.num_rows >= 0
    for path in ("/healthz", "/readyz", "/metrics"):
        assert guarded.ask("GET", path).status == 200


def test_a_reader_without_it_is_told_what_is_missing(guarded: Collector):
    with pytest.raises(UsageError, match="FAIRTRIAL_COLLECTOR_TOKEN of the environment must be") as told:
        RequestLog(guarded.url, "team/wine", since=0, window=0, token="another-token-of-length").read(None)
    assert "another-token" not in str(told.value)


@pytest.mark.parametrize(
    ("token", "path"), [("short", None), ("with a space in it", None), (None, "a/b" * 9)]
)
def test_a_secret_that_cannot_be_sent_is_refused_and_not_told(token: str | None, path: str | None):
    with pytest.raises(UsageError) as told:
        Access(token, path)
    assert str(token or path) not in str(told.value)


def test_no_secret_is_no_question():
    access = Access.of({"FAIRTRIAL_COLLECTOR_TOKEN": ""})
    assert access.knows(None)
    assert access.event_path("/events") == "/events"


def test_nothing_of_the_secrets_is_logged(tmp_path: Path):
    environment = {"FAIRTRIAL_COLLECTOR_TOKEN": TOKEN, "FAIRTRIAL_COLLECTOR_PATH": PATH}
    with collecting(tmp_path / "evidence.db", **environment) as collector:
        collector.ask("POST", f"/{PATH}", b"no event", {**SAID, "Content-Type": "application/json"})
        process = collector.process
        assert process is not None
        process.terminate()
        out, err = process.communicate(timeout=30)
    assert TOKEN not in out + err
    assert PATH not in out + err
