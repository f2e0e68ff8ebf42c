"""A model server process: how it starts, why it does not, and how it ends."""

from __future__ import annotations

import importlib
import signal
import socket
import subprocess
import sys
import time

import httpx
import joblib
import pytest

SLOW = """
import time
from sklearn.base import BaseEstimator

class Slow(BaseEstimator):
    n_features_in_ = 1
    fitted_ = True

    def predict(self, rows):
        time.sleep(float(rows[0, 0]))
        return rows[:, 0]
"""


ENDLESS = """
import pathlib, time
pathlib.Path(__file__).with_name("loading").touch()
time.sleep(60)
"""


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    """Write a module of the user's own: servers can import it, and the test does when it looks into it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(name: str, source: str) -> Imported:
        (tmp_path / f"{name}.py").write_text(source)
        return Imported(name)

    return write


class Imported:
    """A module that is imported at the first look into it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str):
        return getattr(importlib.import_module(self._name), attribute)


def last_words(served) -> str:
    lines = served.errors().strip().splitlines()
    assert lines, "nothing on stderr"
    assert "Traceback" not in served.errors()
    return lines[-1]


def test_ready_is_said_in_one_line_of_json(server):
    assert server.ready["event"] == "ready"
    assert server.ready["model"] == "digits"
    assert server.ready["url"] == server.url
    assert server.ready["grpc"] == f"127.0.0.1:{server.grpc}"


def test_a_signal_while_the_model_loads_ends_the_process_at_once(start, tmp_path, user_module):
    user_module("endless", ENDLESS)
    (tmp_path / "model.pkl").write_bytes(b"cendless\nModel\n.")
    served = start(tmp_path / "model.pkl", parameters={"trusted": "endless"})
    deadline = time.monotonic() + 90
    while not (tmp_path / "loading").exists():
        assert time.monotonic() < deadline, served.errors()
        time.sleep(0.02)
    served.process.send_signal(signal.SIGTERM)
    assert served.wait_ended(5) == 0


def test_a_signal_ends_a_server_that_a_request_keeps_busy(start, tmp_path, user_module):
    module = user_module("slow_model", SLOW)
    joblib.dump(module.Slow(), tmp_path / "model.joblib")
    served = start(tmp_path / "model.joblib", parameters={"trusted": "slow_model"}).wait_ready()
    assert "trust in these modules, as the parameter says: slow_model" in served.errors()
    sent = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [60.0]}]}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{served.url}/v2/models/digits/infer", json=sent, timeout=0.5)
    served.process.send_signal(signal.SIGTERM)
    assert served.wait_ended(20) == 0  # the request takes 60


@pytest.mark.parametrize("taken", [0, 1, 2], ids=["http", "grpc", "metrics"])
def test_a_port_in_use_is_said_so(start, free_ports, digits_file, taken):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        ports = free_ports(3)
        ports[taken] = holder.getsockname()[1]
        served = start(digits_file, tuple(ports))
        assert served.wait_ended() == 2
    assert f"port {ports[taken]}" in last_words(served)
    assert "in use" in last_words(served)


def test_a_damaged_model_is_said_so(start, tmp_path, digits_file):
    damaged = tmp_path / "model.joblib"
    damaged.write_bytes(digits_file.read_bytes()[:-500])
    served = start(damaged)
    assert served.wait_ended() == 3
    assert "model.joblib is damaged" in last_words(served)


def test_a_missing_model_is_said_so(start, tmp_path):
    served = start(tmp_path / "nothing.joblib")
    assert served.wait_ended() == 3
    assert "nothing.joblib" in last_words(served)


def test_a_hostile_model_is_refused_and_does_not_run(start, tmp_path):
    marker = tmp_path / "ran"
    hostile = tmp_path / "model.joblib"
    hostile.write_bytes(b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR.")
    served = start(hostile)
    assert served.wait_ended() == 4
    assert "os.system" in last_words(served)
    assert not marker.exists()


def test_settings_that_are_missing_are_said_so(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "fairtrial_servers.serve", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr.strip().splitlines()[-1].startswith("cannot serve: cannot read")
