"""What is made of messages, and why they are refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from experiments.delivery.triggers.messages import FIRING, JSON, alert, cloud_event, payload, signed
from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.triggers.alerts import Alerts
from fairtrial.delivery.triggers.cloud_events import CloudEvents, Wanted
from fairtrial.delivery.triggers.registry_webhook import RegistryWebhook
from fairtrial.delivery.triggers.told import RefusedError

NOW = 1_795_870_000.0
DEGRADED = {"alertname": "ModelDegraded"}


def of_alerts(*alerts: dict[str, Any], **wanted: str) -> list[Event]:
    return list(Alerts({"degraded": wanted or DEGRADED}).take(JSON, payload(*alerts), NOW))


def of_cloud(
    headers: dict[str, str], body: object, type: str = "io.seldon.drift", source: str | None = None
) -> list[Event]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(CloudEvents({"drift": Wanted(type, source)}).take(headers, raw, NOW))


def refusal(take: Any, *args: Any, **more: Any) -> str:
    with pytest.raises(RefusedError) as refused:
        take(*args, **more)
    return f"{refused.value.status.value} {refused.value}"


def test_a_firing_alert_is_an_event_with_what_it_says():
    assert of_alerts(alert()) == [
        Event(
            key="degraded:5ef77f1f8a3ecfb0:2026-11-28T11:00:00.123456+00:00",
            happening=Happening.ALERT,
            trigger="degraded",
            time=1795863600.123456,
            body={
                "summary": "accuracy fell to 0.71",
                "labels": {"alertname": "ModelDegraded", "model": "wine"},
                "annotations": {"summary": "accuracy fell to 0.71"},
                "startsAt": FIRING,
                "fingerprint": "5ef77f1f8a3ecfb0",
            },
        )
    ]


def test_a_repeat_has_the_same_key_and_a_new_firing_another():
    utc = alert(startsAt="2026-11-28T11:00:00.123456789Z", annotations={})
    later = alert(startsAt="2026-11-28T13:00:00Z")
    keys = [event.key for event in of_alerts(alert(), utc, later)]
    assert keys[0] == keys[1] != keys[2]


def test_what_is_resolved_or_has_other_labels_is_none():
    assert of_alerts(alert(status="resolved")) == []
    assert of_alerts(alert(labels={"alertname": "DiskFull"}), alert(labels={})) == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("wine", True), ("/wi.*/", True), ("/wi/", False), ("/beer|wine/", True), ("/", False), ("", False)],
)
def test_a_value_between_slashes_is_an_expression_for_the_whole_label(wanted: str, found: bool):
    assert bool(of_alerts(alert(), alertname="ModelDegraded", model=wanted)) is found


def test_a_message_is_for_every_trigger_that_waits_for_it():
    both = Alerts({"a": DEGRADED, "b": {"model": "/w.*/"}, "c": {"model": "beer"}})
    assert [event.trigger for event in both.take(JSON, payload(alert()), NOW)] == ["a", "b"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "400 the body is no JSON: Expecting value"),
        (b"\xff", "400 the body is no JSON: UnicodeDecodeError"),
        (b"[" * 100_000, "400 the body is no JSON: RecursionError"),
        (b'{"alerts": NaN}', "400 the body is no JSON"),
        (b'{"alerts": [], "version": "4", "x": "\\ud800"}', "400 the body is no JSON: UnicodeEncodeError"),
        (b"[]", "400 expected the payload of Alertmanager"),
        (b"{}", "400 expected the payload of Alertmanager"),
        (payload(version="5"), "400 expected version 4"),
        (payload(alert(), alert(status="maybe")), "400 alerts.1.status: expected firing or resolved"),
        (payload(alert(labels={"a": 1})), "400 alerts.0.labels: expected texts by name"),
        (payload(alert(fingerprint=None)), "400 alerts.0.fingerprint"),
        (payload(alert(startsAt="yesterday")), "400 alerts.0.startsAt: expected a time"),
        (payload(alert(startsAt="9999-12-31T23:59:59-10:00")), "400 alerts.0.startsAt: expected a time"),
        (payload(*["no alert"]), "400 alerts.0: expected an alert"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_alertmanager_s_is_refused_whole_in_words(body: bytes, said: str):
    assert refusal(Alerts({"degraded": DEGRADED}).take, JSON, body, NOW).startswith(said)


def test_what_a_page_can_send_across_sites_is_refused():
    said = refusal(Alerts({"a": DEGRADED}).take, {"content-type": "text/plain"}, payload(alert()), NOW)
    assert said == "415 expected Content-Type application/json, got text/plain"


_EXPECTED = Event(
    key="drift:/monitoring/drift:a1",
    happening=Happening.ALERT,
    trigger="drift",
    time=1795863600.0,
    body={
        "summary": "io.seldon.drift from /monitoring/drift",
        "id": "a1",
        "source": "/monitoring/drift",
        "type": "io.seldon.drift",
        "time": "2026-11-28T11:00:00Z",
        "data": {"p": 0.001},
    },
)


def test_all_modes_of_a_cloud_event_are_the_same_event():
    whole = cloud_event()
    structured = of_cloud({"content-type": "application/cloudevents+json; charset=utf-8"}, whole)
    batched = of_cloud({"content-type": "application/cloudevents-batch+json"}, [whole])
    attributes = {f"ce-{name}": value for name, value in whole.items() if name != "data"}
    binary = of_cloud({**attributes, **JSON}, whole["data"])
    encoded = {k: v for k, v in whole.items() if k != "data"} | {
        "datacontenttype": "application/json",
        "data_base64": base64.b64encode(b'{"p": 0.001}').decode(),
    }
    based = of_cloud({"content-type": "application/cloudevents+json"}, encoded)
    assert structured == batched == binary == based == [_EXPECTED]


def test_a_binary_one_may_have_no_data_that_is_json_and_no_time():
    headers = {"ce-id": "x%20y", "ce-source": "s", "ce-type": "t", "ce-specversion": "1.0"}
    for more, body in (({"content-type": "text/csv"}, b"1,2"), ({}, b""), (JSON, b"")):
        (event,) = of_cloud({**headers, **more}, body, type="t")
        assert (event.key, event.body["data"], event.time) == ("drift:s:x y", None, NOW)


@pytest.mark.parametrize(
    ("type", "source", "found"),
    [
        ("io.seldon.drift", None, True),
        ("io.seldon.*", "/monitoring/*", True),
        ("*", "/monitoring/drift", True),
        ("io.seldon", None, False),
        ("*", "/monitoring", False),
    ],
)
def test_a_star_at_the_end_is_any(type: str, source: str | None, found: bool):
    headers = {"content-type": "application/cloudevents+json"}
    assert bool(of_cloud(headers, cloud_event(), type, source)) is found


def test_no_two_pairs_of_source_and_id_are_one_key():
    headers = {"content-type": "application/cloudevents-batch+json"}
    pairs = [("a:b", "c"), ("a", "b:c"), ("a%3Ab", "c")]
    events = of_cloud(headers, [cloud_event(source=source, id=id) for source, id in pairs])
    assert len({event.key for event in events}) == 3


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        ({}, b"", "400 expected a CloudEvent: ce- headers, or Content-Type"),
        ({"ce-id": "1"}, b"", "400 ce-specversion: expected 1.0"),
        ({"ce-specversion": "1.0", "ce-id": "", "ce-source": "s", "ce-type": "t"}, b"", "400 ce-id: req"),
        ({"content-type": "application/cloudevents+json"}, b"[]", "400 expected a CloudEvent"),
        ({"content-type": "application/cloudevents+json"}, cloud_event(id=7), "400 id: required"),
        ({"content-type": "application/cloudevents+json"}, cloud_event(id="x" * 1001), "400 id: required"),
        ({"content-type": "application/cloudevents+json"}, cloud_event(time="now"), "400 time: expected"),
        ({"content-type": "application/cloudevents+json"}, cloud_event(subject=[]), "400 subject: exp"),
        ({"content-type": "application/cloudevents+json"}, cloud_event(data_base64="?"), "400 data_base64"),
        ({"content-type": "application/cloudevents-batch+json"}, b"{}", "400 expected a list"),
        (
            {"content-type": "application/cloudevents-batch+json"},
            [cloud_event(), cloud_event(type=None)],
            "400 1: type: required",
        ),
        ({"content-type": "application/cloudevents+avro"}, b"", "415 expected CloudEvents as JSON"),
    ],
)
def test_what_is_no_cloud_event_is_refused_in_words(headers: dict[str, str], body: object, said: str):
    assert refusal(of_cloud, headers, body).startswith(said)


def nudging(**secrets: str) -> tuple[RegistryWebhook, list[str]]:
    nudged: list[str] = []
    return RegistryWebhook({n: lambda v=v: v for n, v in secrets.items()}, nudged.append), nudged


def test_a_signed_message_is_a_nudge_for_whom_it_was_signed():
    webhook, nudged = nudging(new="secret", other="another")
    body = b'{"entity": "model_version_alias"}'
    assert list(webhook.take(signed("secret", body, NOW), body, NOW + 250)) == []
    assert nudged == ["new"]


@pytest.mark.parametrize(
    ("change", "body", "at", "said"),
    [
        ({}, b"[]", NOW, "401 the signature is wrong"),
        ({"x-mlflow-delivery-id": "d-2"}, b"{}", NOW, "401 the signature is wrong"),
        ({"x-mlflow-timestamp": str(int(NOW) + 1)}, b"{}", NOW, "401 the signature is wrong"),
        ({"x-mlflow-signature": "v1,AAAA"}, b"{}", NOW, "401 the signature is wrong"),
        ({"x-mlflow-signature": "v1,Ã©"}, b"{}", NOW, "401 the signature is wrong"),
        ({"x-mlflow-signature": ""}, b"{}", NOW, "401 expected a signed message"),
        ({}, b"{}", NOW + 301, "401 the message is too old"),
        ({}, b"{}", NOW - 301, "401 the message is too old"),
    ],
)
def test_what_is_forged_or_replayed_is_refused(change: dict[str, str], body: bytes, at: float, said: str):
    webhook, nudged = nudging(new="secret")
    assert refusal(webhook.take, signed("secret", b"{}", NOW) | change, body, at).startswith(said)
    assert nudged == []


def test_a_timestamp_that_is_no_number_is_refused_although_it_is_signed():
    webhook, _ = nudging(new="secret")
    headers = signed("secret", b"{}", NOW)
    for timestamp in ("soon", "1e9", "９", "-5"):
        content = f"d-1.{timestamp}.".encode("latin-1", "replace") + b"{}"
        digest = base64.b64encode(hmac.new(b"secret", content, hashlib.sha256).digest()).decode()
        forged = headers | {"x-mlflow-signature": f"v1,{digest}", "x-mlflow-timestamp": timestamp}
        assert refusal(webhook.take, forged, b"{}", NOW).startswith("401 the message is too old")
