"""A real MLflow server: its aliases are polled, and its webhook makes the poll come at once."""

from __future__ import annotations

import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from experiments.delivery.triggers.messages import pipeline
from fairtrial.clock import SystemClock
from fairtrial.delivery.triggers.choose import listener_of, triggers_of
from fairtrial.mlflow_client import mlflow_client
from fairtrial.registry.mlflow import MlflowRegistry
from servers.store.programs import free_port, running

_WEBHOOK_ENV = {
    # It posts to the world alone, and by https, unless it is told otherwise.
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.mark.slow  # a server of its own: on a busy machine it takes a minute to start
@pytest.mark.timeout(300)
def test_an_alias_that_is_set_is_an_event_without_waiting_for_the_next_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WINE_WEBHOOK", "signing secret")
    new = {"name": "new", "registry": {"every": "1h", "webhook": {"secret": {"env": "WINE_WEBHOOK"}}}}
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    argv += ["--backend-store-uri", f"sqlite:///{tmp_path / 'mlflow.db'}", "--workers", "1"]
    with running(argv, lambda: _answers(url), tmp_path, env=_WEBHOOK_ENV):
        chosen = pipeline(new)
        triggers = triggers_of(chosen, MlflowRegistry("wine", "champion", url), lambda: None)
        woken = threading.Event()
        clock = SystemClock()
        listener = listener_of(chosen, triggers, tmp_path / "own", clock, woken.set)
        assert listener is not None
        listener.start()
        try:
            client = mlflow_client(url)
            client.create_webhook(
                "fairtrial",
                f"{listener.url}/registry",
                ["model_version_alias.created"],
                secret="signing secret",
            )
            client.create_registered_model("wine")
            client.create_model_version("wine", source="s3://models/wine")
            (alias,) = triggers.polled
            now = clock.now()
            before = alias.poll(now, None)
            assert before.events == ()
            assert alias.due(now, now) > now + 3000
            client.set_registered_model_alias("wine", "challenger", "1")
            assert woken.wait(30), "MLflow's webhook did not come"
            assert alias.due(now, now) == now
            after = alias.poll(now, before.cursor)
            assert [event.key for event in after.events] == ["new:wine:1:1"]
            assert alias.poll(now, after.cursor).events == ()
        finally:
            listener.stop()
