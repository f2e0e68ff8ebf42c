"""Collectors as processes, and what is posted to them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from experiments.runs import FAIRTRIAL, ready
from servers.store.programs import free_port

DEPLOYMENT = "team/wine"
NOON = 1_795_867_200_000_000  # microseconds since the epoch: 2026-11-28T12:00:00Z


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Collector:
    """`fairtrial collect`, at a port that it keeps when it is started again."""

    store: str
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        argv = ["collect", "--port", str(self.port), "--store", self.store, *self.arguments]
        self.process = subprocess.Popen(
            [*FAIRTRIAL, *argv, "--output", "json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.environment},
        )
        assert ready(self.process)["url"] == self.url

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return self.process.returncode

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def tell(self, kind: str, request_id: str, at: int, body: object = None, **more: str) -> int:
        """Post half of an exchange, `at` microseconds after noon, as Seldon's executor does."""
        answer = self.ask(
            "POST", more.pop("path", "/"), json.dumps(body), event_headers(kind, request_id, at, **more)
        )
        return answer.status

    def feedback(self, **document: object) -> Answer:
        return self.ask("POST", "/feedback", json.dumps(document))

    def observations(self, deployment: str = DEPLOYMENT) -> list[dict[str, Any]]:
        answer = self.ask("GET", f"/observations?deployment={deployment}&grace=0")
        assert answer.status == 200, answer.body
        return pa.ipc.open_stream(answer.body).read_all().to_pylist()

    def metric(self, name: str) -> float:
        lines = self.ask("GET", "/metrics").body.decode().splitlines()
        (value,) = [line.split(" ")[-1] for line in lines if line.startswith(f"fairtrial_collector_{name} ")]
        return float(value)


def event_headers(kind: str, request_id: str, at: int, **more: str) -> dict[str, str]:
    seconds, micros = divmod(NOON + at, 1_000_000)
    assert 0 <= seconds - NOON // 1_000_000 < 60
    return {
        "Ce-Specversion": "1.0",
        "Ce-Id": f"{kind}-{request_id}",
        "Ce-Source": "http://localhost:8000/",
        "Ce-Type": f"io.seldon.serving.inference.{kind}",
        "Ce-Time": f"2026-11-28T12:00:{seconds % 60:02d}.{micros:06d}000Z",
        "Ce-Requestid": request_id,
        "Ce-Modelid": "wine",
        "Ce-Inferenceservicename": "wine",
        "Ce-Namespace": "team",
        "Ce-Endpoint": more.get("arm", "v1"),
        "Content-Type": "application/json",
    }


def predicted(value: object, datatype: str = "INT64") -> dict[str, Any]:
    """A V2 response."""
    output = {"name": "predict", "shape": [1], "datatype": datatype, "data": [value]}
    return {"model_name": "wine", "outputs": [output]}


@contextmanager
def collecting(store: Path | str, *arguments: str, **environment: str) -> Generator[Collector]:
    """A collector that ends with the test; `store` is a file of SQLite, or an address."""
    where = f"sqlite:///{store}" if isinstance(store, Path) else store
    collector = Collector(where, arguments, environment)
    collector.start()
    try:
        yield collector
    finally:
        collector.end()
