"""CloudEvents and payloads as they are read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from experiments.collect.collectors import NOON, event_headers, predicted
from fairtrial.collect.events import Feedback, Half, Malformed, read_event, read_feedback
from fairtrial.collect.giving import GIVEN
from fairtrial.collect.observations import observations
from fairtrial.collect.payloads import read_answered, read_unit


def read(kind: str, body: object = None, unit: str | None = None, **headers: str | None) -> Any:
    whole = {name.lower(): value for name, value in event_headers(kind, "r1", 5).items()}
    for name, value in headers.items():
        whole[f"ce-{name}"] = value or ""
    return read_event(whole, json.dumps(body).encode(), unit)


def test_both_sides_in_binary_mode() -> None:
    asked = read("request", {"id": "ann", "inputs": []}, "id")
    assert asked == Half("r1", "team/wine", "v1", asked=NOON + 5, unit="ann")
    answered = read("response", predicted("cat", "BYTES"))
    assert answered == Half("r1", "team/wine", "v1", answered=NOON + 5, status=200, prediction='"cat"')


@pytest.mark.parametrize("encoded", [True, False])
def test_structured_mode_says_the_same(encoded: bool) -> None:
    attributes = {name[3:].lower(): value for name, value in event_headers("response", "r1", 5).items()}
    body = predicted(3)
    data: dict[str, Any] = (
        {"data_base64": base64.b64encode(json.dumps(body).encode()).decode()} if encoded else {"data": body}
    )
    content = json.dumps({**attributes, **data}).encode()
    told = read_event({"content-type": "application/cloudevents+json; charset=utf-8"}, content, None)
    assert told == read("response", body)


@pytest.mark.parametrize(
    ("body", "unit", "found"),
    [
        ({"id": "ann"}, "id", "ann"),
        ({"id": "ann", "parameters": {"customer": 7}}, "customer", "7"),
        ({"meta": {"tags": {"customer": "bob"}}}, "customer", "bob"),
        ({"meta": {"puid": "p1"}}, "id", "p1"),
        ({"id": "ann"}, None, None),
        ({"id": "ann"}, "customer", None),
        ({"parameters": {"customer": ["a", "list"]}}, "customer", None),
        ({"parameters": "none", "meta": 3}, "customer", None),
        ([1], "id", None),
        ("x", "id", None),
    ],
)
def test_a_unit_is_where_it_is_said_to_be(body: object, unit: str | None, found: str | None) -> None:
    assert read_unit(json.dumps(body).encode(), unit) == found


@pytest.mark.parametrize(
    ("body", "answered"),
    [
        (predicted(3), (200, "3", 0)),
        (predicted(3.5, "FP64"), (200, "3.5", 1)),
        ({"outputs": [{"name": "p", "datatype": "FP32", "data": [0.1, 0.7, 0.2]}]}, (200, "1", 2)),
        ({"data": {"ndarray": [[0.9, 0.1]]}}, (200, "0", 2)),
        ({"data": {"tensor": {"shape": [1, 1], "values": [0.25]}}}, (200, "0.25", 1)),
        ({"data": {"ndarray": ["cat"]}}, (200, '"cat"', 0)),
        ({"data": {"ndarray": [["a", "b"]]}}, (200, None, 0)),
        ({"strData": "cat"}, (200, None, 0)),
        ({"error": "no such model"}, (500, None, 0)),
        ("x", (200, None, 0)),
    ],
)
def test_a_prediction_is_read_of_v2_and_of_seldons_messages(body: object, answered: tuple[Any, ...]) -> None:
    assert read_answered(json.dumps(body).encode()) == answered


def test_bytes_that_are_no_json_are_an_answer_too() -> None:
    assert read_answered(b"\x0a\x03v2\xff") == (200, None, 0)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"requestid": None}, "no requestid"),
        ({"type": "org.example.other"}, "events of type org.example.other are not taken"),
        ({"time": "noon"}, "is no time: noon"),
        ({"time": "2026-11-28T12:00:00"}, "has no time zone"),
        ({"requestid": "x" * 300}, "more than 256 characters"),
        ({"requestid": "a\x00b"}, "NUL"),
        ({"endpoint": "v\x001"}, "NUL"),
    ],
)
def test_what_is_no_event_is_told_in_a_sentence(headers: dict[str, str | None], words: str) -> None:
    with pytest.raises(Malformed, match=words) as told:
        read("request", {}, **headers)
    assert "\n" not in str(told.value)


def test_a_unit_with_a_nul_is_refused_before_it_spoils_a_batch() -> None:
    with pytest.raises(Malformed, match="NUL"):
        read("request", {"id": "a\x00"}, "id")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ("[]", "is an object"),
        ('{"reward": 1}', "is an object with the request's"),
        ('{"id": "r"}', "a reward of 0 counts"),
        ('{"id": "r", "reward": "much"}', "a reward is a finite number"),
        ('{"id": "r", "reward": true}', "a reward is a finite number"),
        ('{"id": "r", "reward": 1, "rewards": 2}', 'no "rewards"'),
        ('{"id": "r", "truth": [1]}', "a truth is a text"),
        ('{"id": "r", "truth": "' + "x" * 2000 + '"}', "at most 1024 characters"),
    ],
)
def test_what_is_no_feedback_is_told_in_a_sentence(content: str, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        read_feedback(content.encode())


def test_a_reward_of_0_and_a_truth_that_is_false_are_feedback() -> None:
    assert read_feedback(b'{"id":"r","reward":0}') == Feedback("r", reward="0.0")
    assert read_feedback(b'{"id":"r","truth":false}') == Feedback("r", truth="false")


def test_seldons_own_feedback_is_of_the_response_that_it_holds() -> None:
    headers = {
        name.lower(): value for name, value in event_headers("request", "of-the-feedback", 0).items()
    } | {"ce-type": "io.seldon.serving.feedback"}
    body = {"response": {"meta": {"puid": "r1"}}, "reward": 0.5}
    assert read_event(headers, json.dumps(body).encode(), None) == Feedback("r1", reward="0.5")
    # A reward of 0 is left out by protobuf's JSON.
    assert read_event(headers, b"{}", None) == Feedback("of-the-feedback", reward="0.0")


@pytest.mark.parametrize(
    ("prediction", "form", "truth", "reward", "score", "error"),
    [
        ("3", 0, "3", None, 1.0, None),
        ("3", 0, '"3"', None, 1.0, None),
        ('"cat"', 0, '"dog"', None, 0.0, None),
        ("1", 2, "1", None, 1.0, None),
        ("2.5", 1, "3.5", None, None, 1.0),
        ("3", 0, None, "0.0", 0.0, None),
        ("3", 0, None, "0.25", 0.25, None),
        ("3", 0, "3", "0.0", 1.0, None),
        (None, 0, "3", None, 0.0, None),
        ("3", 0, None, None, None, None),
    ],
)
def test_a_truth_scores_and_else_a_reward_does(
    prediction: str | None, form: int, truth: str | None, reward: str | None, score: Any, error: Any
) -> None:
    values = dict.fromkeys(GIVEN) | {
        "sequence": 4, "request_id": "r", "arm": "v1", "asked": NOON, "answered": NOON + 1500, "status": 200,
        "prediction": prediction, "form": form, "truth": truth, "reward": reward,
    }  # fmt: skip
    (row,) = observations([list(values.values())]).to_pylist()
    assert (row["score"], row["absoluteError"]) == (score, error)
    assert (row["time"], row["latency"], row["status"]) == (NOON / 1e6, 0.0015, 200)
    assert row["reward"] == (None if reward is None else float(reward))
