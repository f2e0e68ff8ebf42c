"""Copies for a shadow: each request once, and no answer the worse for it."""

import http.client
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from fairtrial_graphs.backends.interface import Route, Serving
from fairtrial_graphs.backends.local import LocalBackend
from fairtrial_graphs.build import Arm, Shadow, build
from graphs.processes import called, descendants, until
from graphs.traffic import Load
from scipy.stats import binom

ARMS = [Arm("v1", "one", "STANDIN"), Arm("v2", "two", "STANDIN")]


def quietly(_: str) -> None:
    pass


def had(serving: Serving, predictor: str) -> tuple[int, int]:
    """How many inference requests the predictor's server has had, and how many different ones."""
    parts = urlsplit(serving.arms[predictor].url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("GET", f"/v2/models/{serving.arms[predictor].model}")
        said = json.loads(connection.getresponse().read())
        return said["inferred"], said["distinct"]
    finally:
        connection.close()


def process_of(node: str) -> psutil.Process:
    return called(descendants(os.getpid()), f'"node": "{node}"')


@pytest.mark.parametrize("percent", [100, 25])
def test_a_shadow_gets_its_share_once_each_and_answers_nobody(backend: LocalBackend, percent: int):
    shadow = Shadow(Arm("v3", "three", "STANDIN"), percent)
    serving = backend.apply(build("d", ARMS, {"v1": 60, "v2": 40}, shadow=shadow), Route("r"), quietly)
    answers = Load(serving.url, count=1_000).run()
    assert {(answer.status, answer.arm == answer.model) for answer in answers} == {(200, True)}
    assert {answer.arm for answer in answers} == {"v1", "v2"}
    low, high = binom.interval(0.9999, 1_000, percent / 100)
    until(lambda: had(serving, "v3")[0] >= low, 5, "mirrored requests")
    copies, different = had(serving, "v3")
    assert copies == different <= high
    assert had(serving, "v1")[1] + had(serving, "v2")[1] == 1_000


def kill(shadow: psutil.Process) -> None:
    shadow.kill()
    shadow.wait(5)


def stop(shadow: psutil.Process) -> None:
    """Its port still takes connections, as those of a process that hangs do."""
    shadow.send_signal(signal.SIGSTOP)


def leave(_: psutil.Process) -> None:
    pass


@pytest.mark.parametrize(
    ("parameters", "harm"),
    [
        ({"once": "FILE"}, kill),
        ({}, stop),
        ({"delay": "1000"}, leave),
        ({"delay": "0.5"}, leave),
        ({"error": "yes"}, leave),
    ],
    ids=["dead", "stopped", "hanging", "slow", "failing"],
)
def test_no_answer_is_later_or_worse_for_a_shadow_that_is(
    backend: LocalBackend, tmp_path: Path, parameters: dict[str, str], harm: Callable[[psutil.Process], None]
):
    known = {name: str(tmp_path / "ran") if value == "FILE" else value for name, value in parameters.items()}
    shadow = Shadow(Arm("v3", "three", "STANDIN", parameters=known))
    serving = backend.apply(build("d", ARMS[:1], shadow=shadow), Route("r"), quietly)
    harm(process_of("v3"))
    begun = time.monotonic()
    answers = Load(serving.url, count=100, callers=1).run()
    assert time.monotonic() - begun < 5  # if each waited half a second: 50
    assert {(answer.status, answer.arm) for answer in answers} == {(200, "v1")}


def test_a_shadow_that_hangs_does_not_use_up_what_answers_need(backend: LocalBackend):
    shadow = Shadow(Arm("v3", "three", "STANDIN", parameters={"delay": "1000"}))
    serving = backend.apply(build("d", ARMS[:1], shadow=shadow), Route("r"), quietly)
    answers = Load(serving.url, count=1_500).run()
    assert {answer.status for answer in answers} == {200}
    assert had(serving, "v3") == (1_000, 1_000)  # then no more copies, as so many are under way
    envoy = called(descendants(os.getpid()), "bootstrap.json")
    assert len(envoy.net_connections("tcp")) < 3_500
