"""A real Alertmanager, which is told of an alert as Prometheus tells it."""

from __future__ import annotations

import shutil
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import yaml
from experiments.clocks import StoppedClock
from fairtrial.delivery.inbox import Inbox
from fairtrial.delivery.pipeline.model import Listen
from fairtrial.delivery.state import State
from fairtrial.delivery.triggers.alerts import Alerts
from fairtrial.delivery.triggers.listener import Listener
from servers.store.programs import answers, free_port, running

_ALERT = {"labels": {"alertname": "ModelDegraded", "model": "wine"}, "annotations": {"summary": "it fell"}}


def test_its_repeats_are_one_event_and_what_it_resolves_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        pytest.skip("there is no Alertmanager here: apt-get install prometheus-alertmanager")
    monkeypatch.setenv("WINE_TOKEN", "s3cret")
    posts = threading.Semaphore(0)
    listener = Listener(
        Listen(port=0, token="WINE_TOKEN"),
        {"/alerts": Alerts({"degraded": {"alertname": "/Model.*/", "model": "wine"}})},
        tmp_path / "own",
        StoppedClock(),
        posts.release,
    )  # fmt: skip
    listener.start()
    webhook = {
        "url": f"{listener.url}/alerts",
        "send_resolved": True,
        "http_config": {"authorization": {"credentials": "s3cret"}},
    }
    route = {"receiver": "us", "group_wait": "10ms", "group_interval": "100ms", "repeat_interval": "200ms"}
    told = {"route": route, "receivers": [{"name": "us", "webhook_configs": [webhook]}]}
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(told))
    port = free_port()
    argv = [
        program, "--config.file=alertmanager.yml", f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
    ]  # fmt: skip
    try:
        with running(argv, answers(port), tmp_path):
            began = datetime.now(UTC).isoformat()
            alerts = f"http://127.0.0.1:{port}/api/v2/alerts"
            for _ in range(2):
                assert httpx.post(alerts, json=[_ALERT | {"startsAt": began}]).status_code == 200
                assert posts.acquire(timeout=30), "Alertmanager did not post"
            ended = [_ALERT | {"startsAt": began, "endsAt": datetime.now(UTC).isoformat()}]
            assert httpx.post(alerts, json=ended).status_code == 200
            assert posts.acquire(timeout=30), "the end was not told"
            while posts.acquire(timeout=1):
                pass  # repeats that were on their way
            anew = datetime.fromtimestamp(time.time(), UTC).isoformat()
            assert httpx.post(alerts, json=[_ALERT | {"startsAt": anew}]).status_code == 200
            assert posts.acquire(timeout=30), "the new firing was not told"
        state = State(tmp_path / "own")
        events = [taken.event for taken in Inbox(state).all()]
        state.close()
    finally:
        listener.stop()
    assert len(events) == 2
    assert [event.body["summary"] for event in events] == ["it fell", "it fell"]
    assert events[0].time == pytest.approx(datetime.fromisoformat(began).timestamp(), abs=0.001)
    assert events[1].time == pytest.approx(datetime.fromisoformat(anew).timestamp(), abs=0.001)
