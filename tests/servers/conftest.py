"""Real MLServer processes for the tests of this part: one to ask, started once, and a way to start more."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import joblib
import numpy as np
import pytest
from fairtrial_servers.launch import model_server
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

START_LIMIT = 90.0  # seconds; the imports alone take several on a busy machine without cached bytecode


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@dataclass
class Served:
    """A model server process and where it is reached."""

    process: subprocess.Popen[str]
    http: int
    grpc: int
    metrics: int
    name: str
    folder: Path
    ready: dict[str, object] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}"

    def errors(self) -> str:
        return (self.folder / "stderr").read_text()

    def wait_ready(self) -> Served:
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            lines = (self.folder / "stdout").read_text().splitlines()
            if lines:
                self.ready = json.loads(lines[-1])
                return self
            assert self.process.poll() is None, self.errors()
            time.sleep(0.02)
        raise AssertionError(f"not ready after {START_LIMIT} s: {self.errors()}")

    def wait_ended(self, limit: float = START_LIMIT) -> int:
        return self.process.wait(limit)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(15)


Starter = Callable[..., Served]


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory) -> dict[str, str]:
    """Has servers keep compiled modules for one another where nothing is kept: a start costs half as much."""
    kept = Path(importlib.util.cache_from_source(httpx.__file__)).exists()  # by `uv sync --compile-bytecode`
    if kept or not sys.dont_write_bytecode:
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("bytecode"))}


def _start(
    model: Path,
    folder: Path,
    ports: tuple[int, int, int] | None,
    parameters: Mapping[str, str],
    environment: Mapping[str, str],
    implementation: str = "SKLEARN_SERVER",
) -> Served:
    http, grpc, metrics = ports or _free_ports(3)
    command = model_server(
        node="digits",
        implementation=implementation,
        model_uri=str(model),
        http_port=http,
        grpc_port=grpc,
        metrics_port=metrics,
        parameters=parameters,
        folder=str(folder),
    )
    with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
        process = subprocess.Popen(
            list(command.argv),
            stdout=out,
            stderr=err,
            env={**os.environ, **environment, **command.env},
            text=True,
        )
    return Served(process, http, grpc, metrics, "digits", folder)


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    return load_digits(return_X_y=True)


@pytest.fixture(scope="session")
def digits_model(digits):
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=50, tol=0.1)).fit(*digits)


@pytest.fixture(scope="session")
def digits_file(digits_model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.joblib"
    joblib.dump(digits_model, path)
    return path


@pytest.fixture(scope="session")
def server(digits_file, bytecode, tmp_path_factory) -> Iterator[Served]:
    served = _start(digits_file, tmp_path_factory.mktemp("server"), None, {}, bytecode)
    try:
        yield served.wait_ready()
    finally:
        began = time.monotonic()
        served.end()
    # An idle server ends well before its grace is over, and quietly.
    assert time.monotonic() - began < 4
    assert served.process.returncode == 0
    assert "Traceback" not in served.errors()


@pytest.fixture(scope="session")
def client(server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as opened:
        yield opened


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], list[int]]:
    return _free_ports


@pytest.fixture(scope="module")
def begin(bytecode, tmp_path_factory) -> Iterator[Callable[[Path, str], Served]]:
    """Start a server for all tests of a module; it must end quietly with the module."""
    begun: list[Served] = []

    def start_one(model: Path, implementation: str) -> Served:
        folder = tmp_path_factory.mktemp("server")
        begun.append(_start(model, folder, None, {}, bytecode, implementation))
        return begun[-1].wait_ready()

    yield start_one
    for served in begun:
        served.process.send_signal(signal.SIGTERM)
        try:
            assert served.wait_ended(10) == 0
        finally:
            served.end()
        for sign in ("Traceback", "Exception", "\tat "):
            assert sign not in served.errors()


@pytest.fixture
def start(bytecode, tmp_path) -> Iterator[Starter]:
    """Start a server on a model file; it is ended with the test."""
    begun: list[Served] = []

    def begin(
        model: Path,
        ports: tuple[int, int, int] | None = None,
        parameters: Mapping[str, str] | None = None,
        implementation: str = "SKLEARN_SERVER",
    ) -> Served:
        folder = tmp_path / f"server-{len(begun)}"
        folder.mkdir()
        begun.append(_start(model, folder, ports, parameters or {}, bytecode, implementation))
        return begun[-1]

    yield begin
    for served in begun:
        served.end()
