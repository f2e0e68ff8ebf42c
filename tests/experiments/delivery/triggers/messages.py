"""What senders send."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from fairtrial.delivery.pipeline.model import Pipeline

JSON = {"content-type": "application/json"}
FIRING = "2026-11-28T12:00:00.123456789+01:00"


def pipeline(*triggers: dict[str, Any], folder: Path | None = None, **spec: Any) -> Pipeline:
    """One that listens at a free port."""
    document = {
        "apiVersion": "fairtrial.dev/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": "wine"},
        "spec": {
            "registry": {"mlflow": {"model": "wine", "alias": "champion"}},
            "triggers": list(triggers),
            "listen": {"port": 0},
            **spec,
        },
    }
    return Pipeline.model_validate(document, context={"folder": folder or Path()})


def alert(**more: Any) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {"alertname": "ModelDegraded", "model": "wine"},
        "annotations": {"summary": "accuracy fell to 0.71"},
        "startsAt": FIRING,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": "5ef77f1f8a3ecfb0",
    } | more


def payload(*alerts: dict[str, Any], **more: Any) -> bytes:
    whole = {
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "fairtrial",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "alerts": list(alerts),
    }
    return json.dumps(whole | more).encode()


def cloud_event(**more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "a1",
        "source": "/monitoring/drift",
        "type": "io.seldon.drift",
        "time": "2026-11-28T11:00:00Z",
        "data": {"p": 0.001},
    } | more


def signed(secret: str, body: bytes, at: float, delivery: str = "d-1") -> dict[str, str]:
    """As MLflow signs: its own code is held against this in the test of its server."""
    timestamp = str(int(at))
    content = f"{delivery}.{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), content, hashlib.sha256).digest()
    return {
        "x-mlflow-signature": f"v1,{base64.b64encode(digest).decode()}",
        "x-mlflow-delivery-id": delivery,
        "x-mlflow-timestamp": timestamp,
        **JSON,
    }
