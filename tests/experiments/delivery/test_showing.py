"""What a pipeline's resource shows of it: the newest, whatever became of earlier attempts to say so."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from experiments.clocks import StoppedClock
from experiments.delivery.logs import write
from fairtrial.delivery.ledger import Action
from fairtrial.delivery.showing import RESOURCE, Shown, resource_of_pod, standing
from fairtrial.delivery.state import State
from fairtrial.errors import NotReadyError, UsageError


class Status:
    """Of a resource that refuses as often as `refusals` says."""

    def __init__(self) -> None:
        self.said: list[Mapping[str, Any]] = []
        self.refusals: list[Exception] = []

    def show(self, fields: Mapping[str, Any]) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.said.append(fields)


def test_the_version_in_service_is_shown_and_what_happened_last(state: State, clock: StoppedClock) -> None:
    assert standing(state) == {"inService": None, "since": None, "last": None}
    _, promoted, refused = write(
        state,
        clock,
        (Action.ADOPTED, "1", None),
        (Action.PROMOTED, "2", "1"),
        (Action.REFUSED, "3", "2"),
    )
    shown = standing(state)
    assert shown["inService"] == "2"
    assert shown["last"] == {
        "action": "refused",
        "version": "3",
        "time": _utc(refused.time),
        "why": "reason 3",
    }
    assert shown["since"] == _utc(promoted.time)


def test_it_is_shown_at_the_beginning_and_whenever_the_history_has_grown(
    state: State, clock: StoppedClock
) -> None:
    status = Status()
    shown = Shown(state, status.show, clock, pytest.fail)
    shown.tell()
    shown.tell()
    assert [each["inService"] for each in status.said] == [None]
    write(state, clock, (Action.ADOPTED, "1", None), (Action.PROMOTED, "2", "1"))
    shown.tell()
    shown.tell()
    assert [each["inService"] for each in status.said] == [None, "2"], "the newest alone"


def test_a_server_that_is_away_is_tried_again_later_and_later_and_said_once(
    state: State, clock: StoppedClock
) -> None:
    status, said = Status(), list[str]()
    shown = Shown(state, status.show, clock, said.append)
    status.refusals = [NotReadyError("the API server is away")] * 10
    asked: list[float] = []
    while status.refusals:
        left = len(status.refusals)
        shown.tell()
        if len(status.refusals) < left:
            asked.append(clock.now())
        clock.sleep(1)
    assert [b - a for a, b in itertools.pairwise(asked)] == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    clock.sleep(300)
    shown.tell()
    assert len(status.said) == 1
    assert said == ["the API server is away; it is tried again"]


def test_a_resource_that_is_gone_is_said_once_and_not_asked_for_again(
    state: State, clock: StoppedClock
) -> None:
    status, said = Status(), list[str]()
    shown = Shown(state, status.show, clock, said.append)
    status.refusals = [UsageError("there is no such resource any more")]
    shown.tell()
    clock.sleep(1000)
    shown.tell()
    assert (status.said, said) == ([], ["there is no such resource any more"])


def test_only_the_pod_of_a_resource_shows_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RESOURCE, raising=False)
    assert resource_of_pod() is None
    for wrong in ("wine", "models/", "/wine", "a/b/c"):
        monkeypatch.setenv(RESOURCE, wrong)
        with pytest.raises(UsageError, match="NAMESPACE/NAME of a Pipeline is expected"):
            resource_of_pod()


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
