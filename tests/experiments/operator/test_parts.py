"""What an operator is made of, where no cluster is needed to see it."""

from __future__ import annotations

import threading
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from fairtrial.errors import NotReadyError, UsageError
from fairtrial.operator.arms import Arms
from fairtrial.operator.claims import Claims
from fairtrial.operator.conditions import with_condition
from fairtrial.operator.feed import PatientLoad
from fairtrial.operator.health import HealthServer
from fairtrial.operator.interruption import RunClock, StoppedError, Wake
from fairtrial.operator.resource import Resource
from fairtrial.operator.trial import plan_in
from fairtrial_loadtests.plan import LoadPlan


def resource(version: str = "1", **annotations: str) -> Resource:
    named = {f"fairtrial.dev/{name}": value for name, value in annotations.items()}
    metadata = {"name": "wine", "namespace": "shop", "uid": "u", "resourceVersion": version}
    return Resource({"metadata": {**metadata, "annotations": named}})


@pytest.mark.parametrize(("value", "asks"), [("true", True), ("", True), ("by me", True), ("False", False)])
def test_an_annotation_asks_unless_it_says_no(value: str, asks: bool):
    assert resource(pause=value).asks("fairtrial.dev/pause") is asks
    assert resource(abort=value).requests == ("fairtrial.dev/abort",)


def test_what_a_watch_brings_late_is_known_to_be_old():
    assert resource("9").is_older_than(resource("10"))
    assert not resource("10").is_older_than(resource("9"))
    assert not resource("a").is_older_than(resource("b"))


def test_a_condition_keeps_its_time_until_it_changes():
    first = with_condition([], "Evidence", True, "Flowing", "", now=0, generation=1)
    again = with_condition(first, "Evidence", True, "Flowing", "still", now=60, generation=1)
    other = with_condition(again, "Evidence", None, "Unknown", "", now=120, generation=2)
    assert again[0]["lastTransitionTime"] == "1970-01-01T00:00:00Z"
    assert other[0]["lastTransitionTime"] == "1970-01-01T00:02:00Z"
    assert other[0]["status"] == "Unknown"


def test_a_deployment_has_one_holder():
    claims = Claims()
    first, second = ("shop", "a"), ("shop", "b")
    assert claims.take(("shop", "wine"), first) is None
    assert claims.take(("shop", "wine"), first) is None
    assert claims.take(("shop", "wine"), second) == first
    assert claims.take(("other", "wine"), second) is None
    claims.release(first)
    assert claims.take(("shop", "wine"), second) is None


def test_a_sleeping_run_is_woken_and_stopped():
    wake = Wake()
    clock = RunClock(wake, patience=60.0, now=lambda: 5.0)
    threading.Timer(0.05, wake.ring).start()
    clock.sleep(0.05)
    wake.stop()
    with pytest.raises(StoppedError):
        clock.sleep(0.05)
    with pytest.raises(StoppedError):
        wake.check()


def test_a_candidate_that_is_down_for_long_is_lost_and_a_baseline_is_waited_for():
    now, down = [0.0], {"v1": "OOMKilled", "v2": "CrashLoopBackOff"}
    arms = Arms(lambda: down, "v1", lambda: now[0], patience=60)
    arms.look()
    assert arms.baseline_down == "v1 is not ready: OOMKilled"
    now[0] = 59.0
    arms.look()
    now[0] = 61.0
    with pytest.raises(NotReadyError, match=r"v2 has had no ready pod for 61 s: CrashLoopBackOff"):
        arms.look()
    del down["v2"]
    now[0] = 90.0
    arms.look()
    assert arms.baseline_down is not None


class DyingLoad:
    """Dies as often as it is told to."""

    started = 0

    def __init__(self, plan: LoadPlan) -> None:
        self.plan = plan
        self.alive = False
        self.returncode: int | None = 1
        self.error = "the source is gone"

    def start(self) -> None:
        DyingLoad.started += 1

    def poll(self) -> list[Path]:
        return []

    def incidents(self) -> list[str]:
        return []

    def stop(self) -> int:
        return 0


def test_a_load_that_dies_is_begun_again_ever_more_rarely(tmp_path: Path):
    DyingLoad.started, now = 0, [0.0]
    plan: Any = LoadPlan.__new__(LoadPlan)
    object.__setattr__(plan, "output", tmp_path)
    load = PatientLoad(plan, DyingLoad, lambda: now[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fairtrial.operator.feed.replace", lambda plan, **_: plan)
        load.start()
        begun: list[float] = []
        while now[0] < 200:
            before = DyingLoad.started
            assert load.poll() == []
            assert load.alive
            if DyingLoad.started > before:
                begun.append(now[0])
            now[0] += 0.5
    gaps = [round(after - before) for before, after in pairwise(begun)]
    assert gaps[:3] == sorted(gaps[:3])
    assert max(gaps) >= 60


def test_what_a_cluster_cannot_run_is_told_at_once(tmp_path: Path):
    spec = {
        "baseline": {"name": "v1", "modelUri": "models/v1"},
        "candidates": [{"name": "v2", "modelUri": "file:///v2"}],
        "metrics": [{"name": "accuracy"}],
    }
    with pytest.raises(UsageError, match=r"spec\.baseline\.modelUri: models/v1 .*spec\.candidates\.0"):
        plan_in(spec, "shop", "wine", tmp_path, None)


def test_the_kubelet_and_prometheus_are_answered():
    ready = [False]
    server = HealthServer("127.0.0.1", 0, lambda: ready[0], lambda: {"fairtrial_operator_runs": 3.0})
    server.start()
    base = f"http://127.0.0.1:{server.port}"
    try:
        assert urllib.request.urlopen(f"{base}/healthz", timeout=5).status == 200
        with pytest.raises(HTTPError, match="503") as refused:
            urllib.request.urlopen(f"{base}/readyz", timeout=5)
        refused.value.close()
        ready[0] = True
        assert urllib.request.urlopen(f"{base}/readyz", timeout=5).status == 200
        with urllib.request.urlopen(f"{base}/metrics", timeout=5) as answer:
            assert b"fairtrial_operator_runs 3\n" in answer.read()
        with pytest.raises(UsageError, match="cannot listen on"):
            HealthServer("127.0.0.1", server.port, lambda: True, dict)
    finally:
        server.stop()
