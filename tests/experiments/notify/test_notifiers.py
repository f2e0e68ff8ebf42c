"""Webhooks and apprise against a real HTTP server."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from experiments.listener import Listener, listening
from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.followers.interface import AwayError, RefusedError
from fairtrial.journal.entries import Effect, Entry, Kind
from fairtrial.notify.apprise import AppriseNotifier
from fairtrial.notify.choose import check_notifiers, notifier_of
from fairtrial.notify.follower import Notified
from fairtrial.notify.message import Message, event_of, message_of
from fairtrial.notify.webhook import Webhook

# Apprise imports a module that Python 3.13 has no more, and does without it there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

MESSAGE = Message(
    "wine-1/7",
    "promoted",
    "wine-1",
    "wine",
    "promoted",
    1795870000.5,
    "all traffic goes to v2",
    {"weights": {"v2": 100}},
)


def experiment(*notifications: dict[str, Any], folder: Path | None = None) -> Experiment:
    spec = {
        "baseline": {"name": "v1", "modelUri": "m1"},
        "candidates": [{"name": "v2", "modelUri": "m2"}],
        "metrics": [{"name": "accuracy"}],
        "notifications": list(notifications),
    }
    document = {"apiVersion": "fairtrial.dev/v1alpha1", "kind": "Experiment", "metadata": {"name": "wine"}}
    return Experiment.model_validate({**document, "spec": spec}, context={"folder": folder or Path()})


@pytest.fixture
def listener():
    with listening() as found:
        yield found


def test_a_webhook_gets_the_documented_json(listener: Listener):
    Webhook(listener.url).send(MESSAGE)
    assert listener.got == [
        {
            "id": "wine-1/7",
            "event": "promoted",
            "run": "wine-1",
            "experiment": "wine",
            "time": "2026-11-28T12:46:40.500+00:00",
            "title": "wine: promoted",
            "text": "all traffic goes to v2",
            "details": {"weights": {"v2": 100}},
        }
    ]


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_what_passes_is_tried_again(listener: Listener, status: int):
    listener.answers = [status]
    with pytest.raises(AwayError, match=f"the webhook at 127.0.0.1 answered {status} to the event promoted"):
        Webhook(listener.url).send(MESSAGE)


@pytest.mark.parametrize("status", [302, 307, 400, 401, 404, 410])
def test_what_does_not_pass_is_not(listener: Listener, status: int):
    listener.answers = [status]
    with pytest.raises(RefusedError, match=str(status)):
        Webhook(listener.url).send(MESSAGE)
    assert listener.got == []


def test_nobody_there_is_said_without_the_address():
    with listening() as gone:
        url = f"{gone.url}/a-secret"
    with pytest.raises(AwayError) as told:
        Webhook(url).send(MESSAGE)
    assert str(told.value) == "the webhook at 127.0.0.1 cannot be reached (ConnectError)"


def test_apprise_delivers(listener: Listener):
    url = listener.url.replace("http://", "json://").removesuffix("/hook")
    sent: list[dict[str, Any]] = []
    listener.got = _Into(sent)
    AppriseNotifier([url]).send(MESSAGE)
    assert [(each["title"], each["message"]) for each in sent] == [
        ("wine: promoted", "all traffic goes to v2")
    ]


class _Into(list):
    """Apprise's JSON has no event."""

    def __init__(self, sent: list[dict[str, Any]]) -> None:
        self._sent = sent

    def append(self, each: dict[str, Any]) -> None:
        self._sent.append(each)


def test_apprise_says_nothing_of_its_addresses(
    listener: Listener, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    listener.answers = [500]
    url = listener.url.replace("http://", "json://me:hunter2@").removesuffix("/hook")
    with caplog.at_level(logging.DEBUG), pytest.raises(AwayError) as told:
        AppriseNotifier([url]).send(MESSAGE)
    assert str(told.value) == "apprise could not deliver the event promoted (json)"
    assert "hunter2" not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"apprise": {"env": "NOT_SET"}}, "the environment's NOT_SET is empty or not set"),
        ({"webhookFrom": {"file": "nowhere"}}, "cannot read"),
        ({"webhookFrom": {"file": "two"}}, "expected one address, found 2"),
        ({"webhookFrom": {"file": "wrong"}}, "expected the URL of a webhook"),
        ({"apprise": {"file": "wrong"}}, "apprise knows no such URL"),
        ({"apprise": {"file": "binary"}}, "cannot read"),
    ],
)
def test_an_address_that_is_not_there_is_a_mistake_that_tells_no_secret(
    tmp_path: Path, said: dict[str, Any], wrong: str
):
    (tmp_path / "two").write_text("# comment\nhttp://a/hunter2\n\nhttp://b/hunter2\n")
    (tmp_path / "wrong").write_text("hunter2\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00hunter2")
    with pytest.raises(UsageError) as told:
        check_notifiers(experiment({"webhook": "http://a/b"}, said, folder=tmp_path))
    assert str(told.value).startswith("spec.notifications.1: ")
    assert wrong in str(told.value)
    assert "hunter2" not in str(told.value)


def test_addresses_come_from_the_environment_and_from_files(
    tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "hook").write_text(f"# of the team\n{listener.url}\n")
    monkeypatch.setenv("HOOK", listener.url)
    both = experiment({"webhookFrom": {"file": "hook"}}, {"webhookFrom": {"env": "HOOK"}}, folder=tmp_path)
    for number in range(2):
        notifier_of(both, number).send(MESSAGE)
    assert len(listener.got) == 2


def entry(kind: Kind, body: dict[str, Any] | None = None, effect: Effect | None = None) -> Entry:
    return Entry(7, 1.0, kind, effect, body or {})


TURNS = [
    (entry(Kind.STARTED), "started", "v2 on trial against v1"),
    (entry(Kind.DONE, {"split": "50% v1, 50% v2", "weights": {}}, Effect.SHIFT), "step", "traffic: 50% v1"),
    (entry(Kind.DONE, {"weights": {"v1": 90, "v2": 10}}, Effect.SHIFT), "step", "traffic: 90% v1, 10% v2"),
    (entry(Kind.DONE, {"outcome": "kept", "weights": {}}, Effect.SWITCH), "step", "kept"),
    (
        entry(
            Kind.VERDICT, {"verdict": "PROMOTE", "baseline": "v1", "candidate": "v2", "reasons": ["because"]}
        ),
        "verdict",
        "PROMOTE: v2 against v1\nbecause",
    ),
    (entry(Kind.DONE, {"outcome": "all to v2"}, Effect.PROMOTE), "promoted", "all to v2"),
    (entry(Kind.DONE, {"outcome": "all to v1"}, Effect.ROLLBACK), "rolledBack", "all to v1"),
    (entry(Kind.DONE, {"outcome": "stays"}, Effect.HOLD), "held", "stays"),
    (entry(Kind.HELD, {"look": 3, "reason": "paused by an annotation"}), "held", "paused by an annotation"),
    (entry(Kind.FAILED, {"message": "no model"}), "failed", "no model"),
]


@pytest.mark.parametrize(("turn", "event", "text"), TURNS, ids=[turn[1] for turn in TURNS])
def test_every_turn_of_a_run_is_told_in_words(turn: Entry, event: str, text: str):
    found = event_of(turn)
    assert found == event
    message = message_of(turn, found, experiment(), "wine-1")
    assert message.text.startswith(text)
    assert message.id == "wine-1/7"
    assert message.as_json()["event"] == event


@pytest.mark.parametrize(
    "other", [Kind.LOOK, Kind.INTENDED, Kind.TOLD, Kind.INCIDENT, Kind.ENDED, Kind.RESUMED, Kind.INTERRUPTED]
)
def test_nothing_else_is_a_turn(other: Kind):
    assert event_of(entry(other, effect=Effect.PROMOTE)) is None


def test_each_is_told_what_it_asked_for(listener: Listener):
    some = Notified("notifications.0", Webhook(listener.url), ("verdict", "failed"), experiment(), "wine-1")
    everything = Notified("notifications.1", Webhook(listener.url), None, experiment(), "wine-1")
    assert [turn[1] for turn in TURNS if some.wants(turn[0])] == ["verdict", "failed"]
    assert all(everything.wants(turn[0]) for turn in TURNS)
