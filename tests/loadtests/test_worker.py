"""The load process, from start to end, as its controller sees it."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from fairtrial_loadtests.client import LoadProcess
from fairtrial_loadtests.errors import ExitCode
from fairtrial_loadtests.observation import SCHEMA
from fairtrial_loadtests.parts import next_arrival, part_path
from fairtrial_loadtests.plan import Requests, Target
from pyarrow import parquet


@pytest.fixture
def start(tmp_path):
    """Starts load processes, and ends them with the test."""
    started = []

    def begin(plan):
        process = LoadProcess(plan, tmp_path / "load")
        process.start()
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.alive:
            os.kill(process.pid, signal.SIGKILL)
        process.stop()


def read(parts):
    return pa.concat_tables([parquet.ParquetFile(part).read() for part in parts])


def summary(plan):
    return json.loads((plan.output / "load.json").read_text())


def assert_nothing_lost(server, plan, table):
    """What reached the server is recorded once, in order of intended time, as the summary says."""
    reached = sum(len(server.log(name)) for name in server.ports)
    assert table.schema.equals(SCHEMA)
    assert table.num_rows == reached == summary(plan)["sent"]
    assert len(set(table["id"].to_pylist())) == table.num_rows
    assert (np.diff(table["time"].to_numpy()) >= 0).all()


def test_a_load_runs_to_its_end_in_parts_that_follow_one_another(server, make_plan, start, eventually):
    plan = make_plan(rate=200, duration=1.5, share=0.2)
    process = start(plan)
    parts = []
    eventually(lambda: bool(parts.extend(process.poll()) or parts), "a first part")
    assert process.alive, "the parts only came when the load had ended"
    eventually(lambda: not process.alive, "the end")
    parts += process.poll()
    assert (process.returncode, process.error) == (ExitCode.DONE, "")
    assert len(parts) > 5
    assert parts == [part_path(plan.output, n) for n in range(len(parts))]
    table = read(parts)
    assert_nothing_lost(server, plan, table)
    told = summary(plan)
    assert told["reason"] == "maxDuration"
    assert told["locust"]["requests"] == told["requests"] == table.num_rows
    assert told["failures"] == told["locust"]["failures"] == told["dropped"] == 0
    assert 0 < told["lagP50"] < told["lagP99"] < 1
    assert told["arrivals"] == told["nextArrival"] == next_arrival(plan.output)[0]
    assert not list(plan.output.glob(".*"))


@pytest.mark.parametrize("how", ["stop", "SIGTERM"])
def test_asked_to_end_it_writes_what_is_in_flight_and_ends(server, make_plan, start, eventually, how):
    server.control("v2", delay=0.3)
    plan = make_plan(duration=600.0)
    process = start(plan)
    eventually(lambda: len(server.log("v1")) > 50, "some load")
    os.kill(process.pid, signal.SIGINT)  # the terminal's Ctrl-C, which is not for this process
    eventually(lambda: len(server.log("v1")) > 100, "load after the interrupt")
    if how == "stop":
        assert process.stop() == ExitCode.DONE
    else:
        os.kill(process.pid, signal.SIGTERM)
        eventually(lambda: not process.alive, "the end")
        assert process.returncode == ExitCode.DONE
    table = read(process.poll())
    assert_nothing_lost(server, plan, table)
    assert summary(plan)["reason"] == how
    pairs = np.bincount(table["pair"].to_numpy())
    assert (pairs == 2).all()


def test_a_killed_load_is_continued_with_nothing_lost_and_nothing_twice(server, make_plan, start, eventually):
    plan = make_plan(rate=300, duration=3.0, share=0.2)
    process = start(plan)
    eventually(lambda: part_path(plan.output, 4).exists(), "five parts")
    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: not process.alive, "the end")
    (plan.output / ".part-000099.parquet.partial").write_bytes(b"half of it")
    arrival, part = next_arrival(plan.output)
    assert arrival > 0
    assert part >= 5
    continued = start(replace(plan, first_arrival=arrival, first_part=part))
    eventually(lambda: not continued.alive, "the end")
    table = read(part_path(plan.output, n) for n in range(next_arrival(plan.output)[1]))
    assert len(continued.poll()) == next_arrival(plan.output)[1] - part
    assert (np.diff(table["time"].to_numpy()) >= 0).all()
    ids = table["id"].to_pylist()
    assert len(set(ids)) == len(ids)
    arrivals = {int(each.partition("-")[0]) for each in ids}
    assert arrivals == set(range(summary(plan)["nextArrival"]))
    assert 800 < len(arrivals) < 1000
    assert (
        np.bincount(table["pair"].drop_null().to_numpy())[table["pair"].drop_null().to_numpy()] == 2
    ).all()


CONTROLLER = """
import sys, threading, time
from pathlib import Path
from fairtrial_loadtests.client import LoadProcess
from fairtrial_loadtests.plan import LoadPlan
process = LoadProcess(LoadPlan.from_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
thread = threading.Thread(target=process.start)
thread.start()
thread.join()
print(process.pid, flush=True)
time.sleep(600)
"""


def test_it_outlives_the_thread_that_started_it_but_not_the_controller(
    server, make_plan, tmp_path, eventually
):
    plan_file = tmp_path / "plan.json"
    plan_file.write_text(make_plan(duration=600.0).to_json())
    controller = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, str(plan_file), str(tmp_path / "load")], stdout=subprocess.PIPE
    )
    assert controller.stdout is not None
    try:
        worker = int(controller.stdout.readline())
        eventually(lambda: len(server.log("v1")) > 20, "some load")
    finally:
        controller.kill()
        controller.wait()
        controller.stdout.close()
    eventually(lambda: not is_running(worker), "the end of the load process")


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return not os.path.isdir("/proc/self")


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"requests": Requests(Path("no.parquet"))}, ExitCode.USAGE, "no.parquet does not exist"),
        ({"rate": 0.0}, ExitCode.USAGE, "arrival rate"),
        ({"targets": (Target("v1", "http://127.0.0.1:1", "v1"),)}, ExitCode.UNREACHABLE, "does not answer"),
    ],
)
def test_what_cannot_be_loaded_ends_in_one_sentence(make_plan, start, eventually, *, changes, code, said):
    process = start(make_plan(**changes))
    eventually(lambda: not process.alive, "the end")
    assert process.returncode == code
    assert said in process.error
    assert len(process.error.splitlines()) == 1
    assert process.poll() == []


def test_a_damaged_plan_is_refused_in_one_sentence(tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text('{"targets": []}')
    ended = subprocess.run(
        [sys.executable, "-m", "fairtrial_loadtests.worker", str(plan)],
        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == ExitCode.USAGE
    assert ended.stderr.startswith(f"{plan} is not a load plan: ")
    assert len(ended.stderr.splitlines()) == 1


def test_a_folder_that_takes_no_more_ends_the_load_in_one_sentence(make_plan, start, eventually):
    plan = make_plan(duration=600.0)
    plan.output.mkdir()
    (plan.output / "part-000000.parquet").mkdir()  # cannot be replaced by a file
    process = start(plan)
    eventually(lambda: not process.alive, "the end")
    assert process.returncode == ExitCode.FAILED
    assert "observations cannot be written" in process.error


def test_the_controllers_side_draws_in_nothing_heavy():
    code = (
        "import sys, fairtrial_loadtests.client;"
        "print([m for m in ('gevent', 'locust', 'pyarrow', 'numpy') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n"


def test_locusts_web_page_is_there_for_whoever_asks(tmp_path):
    code = (
        "from fairtrial_loadtests.light_locust import defer_web_page; defer_web_page();"
        "import locust, sys; assert 'flask' not in sys.modules;"
        "from locust.env import Environment;"
        "page = Environment().create_web_ui('127.0.0.1', 0, delayed_start=True);"
        "from locust import web; print(type(page) is web.WebUI)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "True"


def test_next_arrival_of_nothing_and_of_a_part_that_cannot_be_read(tmp_path):
    assert next_arrival(tmp_path) == (0, 0)
    columns = {name: [None] for name in SCHEMA.names}
    columns |= {"arm": ["v1"], "time": [1.0], "latency": [0.1], "status": [200], "id": ["41-v1"]}
    parquet.write_table(pa.table(columns, schema=SCHEMA), part_path(tmp_path, 0))
    part_path(tmp_path, 1).write_bytes(b"PAR1 half")
    assert next_arrival(tmp_path) == (42, 1)
