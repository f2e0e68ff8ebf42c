"""A team's own Locust users: what they ask becomes observations of the arms."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from fairtrial_loadtests.client import LoadProcess
from fairtrial_loadtests.errors import ExitCode
from fairtrial_loadtests.parts import next_arrival, part_path, seconds_loaded
from fairtrial_loadtests.plan import Arrivals, LoadPlan, Requests, Split, Users
from loadtests.conftest import read_observations

USERS = """
import json, os
from locust import FastHttpUser, HttpUser, constant, task

BODY = json.dumps({"inputs": [{"name": "predict", "shape": [1, 1], "datatype": "FP64", "data": [3.0]}]})

class ThroughTheSplit(HttpUser):
    wait_time = constant(0.02)
    @task
    def ask(self):
        self.client.post("/v2/models/wine/infer", BODY)

class Direct(FastHttpUser):
    host = json.loads(os.environ["FAIRTRIAL_ARMS"])["v1"]
    wait_time = constant(0.02)
    @task
    def ask(self):
        with self.client.post("/v2/models/v1/infer", data=BODY, catch_response=True) as answer:
            answer.failure("not as wanted")
"""


@pytest.fixture
def users_plan(make_plan, server, tmp_path):
    def make(text, **changes):
        (tmp_path / "users.py").write_text(text)
        return make_plan(
            users=Users(tmp_path / "users.py", 4),
            requests=Requests(None),
            split=Split(server.url("split"), "", 1.0),
            arrivals=Arrivals(100.0, "poisson", 3.0),
            timeout=1.0,
            **changes,
        )

    return make


def run(plan, folder):
    load = LoadProcess(plan, folder)
    load.start()
    deadline = time.monotonic() + 60
    while load.alive and time.monotonic() < deadline:
        time.sleep(0.05)
    assert load.stop() == load.returncode
    return load


def test_the_arm_is_told_by_the_splits_header_or_by_the_address(users_plan, tmp_path):
    plan = users_plan(USERS)
    assert LoadPlan.from_json(plan.to_json()) == plan
    load = run(plan, tmp_path / "load")
    assert load.returncode == ExitCode.DONE, load.error
    table = read_observations(plan.output)
    observations = table.to_pylist()
    split = [each for each in observations if each["segment"] == "r7"]
    direct = [each for each in observations if each["segment"] is None]
    assert {each["arm"] for each in split} == {"v1", "v2"}
    assert {each["status"] for each in split} == {200}
    assert {(each["arm"], each["status"]) for each in direct} == {("v1", 0)}
    assert len(split) > 20
    assert len(direct) > 20
    assert len({each["id"] for each in observations}) == len(observations)
    assert all(each["pair"] is None and each["score"] is None for each in observations)
    times = [each["time"] for each in observations]
    assert times == sorted(times)
    summary = json.loads((plan.output / "load.json").read_text())
    assert summary["requests"] == len(observations) == summary["nextArrival"]
    assert summary["locust"]["requests"] >= len(observations)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_that_is_there", "cannot be imported: ModuleNotFoundError"),
        ("x = 1", "has no users"),
        ("raise SystemExit(0)", "cannot be imported"),
    ],
)
def test_a_locustfile_that_is_none_ends_in_a_sentence(users_plan, tmp_path, text, said):
    (tmp_path / "plan.json").write_text(users_plan(text).to_json())
    ended = subprocess.run(
        [sys.executable, "-m", "fairtrial_loadtests.worker", str(tmp_path / "plan.json")],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == ExitCode.USAGE
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_users_that_are_begun_again_have_what_is_left_of_their_time(users_plan, tmp_path):
    plan = users_plan(USERS, flush_every=0.2)
    first = LoadProcess(plan, tmp_path / "first")
    first.start()
    deadline = time.monotonic() + 60
    while not part_path(plan.output, 1).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    first.stop()
    arrival, part = next_arrival(plan.output)
    loaded = seconds_loaded(plan.output, [0])
    assert loaded > 0
    time_of_first = read_observations(plan.output).column("time").to_pylist()
    assert loaded == pytest.approx(time_of_first[-1] - time_of_first[0])

    again = replace(plan, first_arrival=arrival, first_part=part, loaded=plan.arrivals.max_duration - 1.0)
    assert run(again, tmp_path / "again").returncode == ExitCode.DONE
    both = read_observations(plan.output).column("time").to_pylist()
    assert both[-1] - both[len(time_of_first)] < 1.5
    assert seconds_loaded(plan.output, [0, part, part]) == pytest.approx(
        loaded + both[-1] - both[len(time_of_first)]
    ), "what passed between them is not in it"
