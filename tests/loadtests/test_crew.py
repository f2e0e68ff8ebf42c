"""A load that several processes send, as its controller sees it: as one that one process sends."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
from fairtrial_loadtests.client import LoadProcess
from fairtrial_loadtests.crew import TOKEN, Address, Crew
from fairtrial_loadtests.errors import ExitCode
from fairtrial_loadtests.observation import SCHEMA
from fairtrial_loadtests.parts import next_arrival, part_path
from fairtrial_loadtests.plan import Target
from loadtests.crews import (
    FailingNetwork,
    free_port,
    logs,
    members_of,
    observations,
    recorded,
    scheduled,
    send_rubbish,
    summary,
)

_NOBODY = Target("v1", "http://127.0.0.1:1", "v1")


@pytest.fixture
def start(tmp_path):
    """Starts loads of several processes, and ends them with the test."""
    started = []

    def begin(plan, crew):
        process = LoadProcess(plan, tmp_path / "load", crew)
        process.start()
        started.append(process)
        return process

    yield begin
    for process in started:
        family = psutil.Process(process.pid).children() if process.alive else []
        if process.alive:
            os.kill(process.pid, signal.SIGKILL)
        process.stop()
        psutil.wait_procs(family, 10)


@pytest.fixture
def worker(tmp_path):
    """Starts load workers as from another machine, and ends them with the test."""
    started = []

    def begin(port, token):
        log = (tmp_path / f"worker-{len(started)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "fairtrial_loadtests.member", "--master", f"127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, TOKEN: token},
        )  # fmt: skip
        log.close()
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def assert_as_one_process_would(plan):
    """Every arrival is recorded once, in order of intended time, as the schedule has it."""
    table = observations(plan)
    assert table.schema.equals(SCHEMA)
    assert recorded(table) == scheduled(plan, summary(plan)["nextArrival"])
    assert (np.diff(table["time"].to_numpy()) >= 0).all()
    assert next_arrival(plan.output)[0] == summary(plan)["nextArrival"]
    return table


def test_two_workers_record_what_one_process_would_and_end_before_the_same_arrival(
    server, make_plan, start, eventually, tmp_path
):
    server.control("v2", delay=0.3)
    plan = make_plan(rate=200, duration=600.0, share=0.2)
    process = start(plan, Crew(2))
    parts = []
    eventually(lambda: bool(parts.extend(process.poll()) or len(parts) > 5), "six parts")
    assert process.stop() == ExitCode.DONE, logs(tmp_path / "load")
    parts += process.poll()
    assert parts == [part_path(plan.output, n) for n in range(len(parts))]
    table = assert_as_one_process_would(plan)
    told = summary(plan)
    assert table.num_rows == sum(len(server.log(name)) for name in server.ports)
    assert told["requests"] == told["sent"] == told["locust"]["requests"] == table.num_rows
    assert (told["workers"], told["sessions"], told["reason"]) == (2, 1, "stop")
    assert told["failures"] == told["dropped"] == 0
    assert 0 < told["lagP50"] < told["lagP99"] < 1
    assert (np.bincount(table["pair"].drop_null().to_numpy()) != 1).all()
    assert not list((tmp_path / "load").glob("*.partial"))


def test_a_worker_that_is_killed_costs_nothing_that_is_recorded(make_plan, start, eventually):
    plan = make_plan(rate=200, duration=3.0, share=0.2)
    process = start(plan, Crew(2))
    eventually(lambda: part_path(plan.output, 3).exists(), "four parts")
    os.kill(members_of(process.pid)[1], signal.SIGKILL)
    eventually(lambda: not process.alive, "the end")
    assert process.returncode == ExitCode.DONE
    table = assert_as_one_process_would(plan)
    assert summary(plan)["sessions"] == 2
    assert summary(plan)["reason"] == "maxDuration"
    assert np.diff(table["time"].to_numpy()).max() > 0.3, "a worker was missing, and none stood still"
    assert "load worker 2 ended with code -9 and is started again" in process.incidents()


CONTROLLER = """
import sys, time
from pathlib import Path
from fairtrial_loadtests.client import LoadProcess
from fairtrial_loadtests.crew import Crew
from fairtrial_loadtests.plan import LoadPlan
process = LoadProcess(LoadPlan.from_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), Crew(2))
process.start()
print(process.pid, flush=True)
time.sleep(600)
"""


def test_no_process_outlives_a_controller_that_is_killed(server, make_plan, tmp_path, eventually):
    plan_file = tmp_path / "plan.json"
    plan_file.write_text(make_plan(duration=600.0).to_json())
    controller = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, str(plan_file), str(tmp_path / "load")], stdout=subprocess.PIPE
    )
    assert controller.stdout is not None
    try:
        master = int(controller.stdout.readline())
        eventually(lambda: len(server.log("v1")) > 20, "some load")
        family = [psutil.Process(master), *map(psutil.Process, members_of(master))]
        assert len(family) == 3
    finally:
        controller.kill()
        controller.wait()
        controller.stdout.close()
    gone, left = psutil.wait_procs(family, 30)
    assert not left
    assert len(gone) == 3


@pytest.mark.heavy  # a quarter of a minute: three processes, and three cuts under load
def test_workers_from_elsewhere_lose_nothing_when_their_connections_are_cut(
    server, make_plan, start, worker, eventually, monkeypatch, tmp_path
):
    monkeypatch.setenv(TOKEN, "open sesame")
    plan = make_plan(rate=100, duration=5.0, share=0.2)
    port = free_port()
    process = start(plan, Crew(2, Address("127.0.0.1", port)))
    network = FailingNetwork(port)
    try:
        stranger = worker(port, "another")
        workers = [worker(network.port, "open sesame") for _ in range(2)]
        eventually(lambda: part_path(plan.output, 3).exists(), "four parts")
        send_rubbish(port)
        for _ in range(3):
            network.cut()
            time.sleep(0.3)  # long enough to connect again, and to send what is lost with the next cut
        assert network.connections > 4
        eventually(lambda: not process.alive, "the end")
        assert (process.returncode, process.error) == (ExitCode.DONE, "")
        assert [each.wait(20) for each in workers] == [ExitCode.DONE, ExitCode.DONE]
        assert stranger.wait(20) == ExitCode.UNREACHABLE
    finally:
        network.close()
    table = assert_as_one_process_would(plan)
    assert summary(plan)["sessions"] == 1
    assert table.num_rows == sum(len(server.log(name)) for name in server.ports)
    told = process.incidents()
    assert told[0].startswith("the load waits for 2 workers: `fairtrial load-worker --master 127.0.0.1:")
    assert "a load worker was turned away: it does not show the token of this run" in told


@pytest.mark.parametrize(
    ("changes", "crew", "code", "said"),
    [
        ({"rate": 0.0}, Crew(2), ExitCode.USAGE, "arrival rate"),
        ({"targets": (_NOBODY,)}, Crew(2), ExitCode.UNREACHABLE, "does not answer"),
        ({}, Crew(2, Address("192.0.2.7", 5557)), ExitCode.USAGE, "FAIRTRIAL_LOAD_TOKEN"),
    ],
)
def test_what_cannot_be_loaded_ends_in_one_sentence(
    make_plan, start, eventually, *, changes, crew, code, said
):
    process = start(make_plan(**changes), crew)
    eventually(lambda: not process.alive, "the end")
    assert process.returncode == code, process.error
    assert said in process.error
    assert len(process.error.splitlines()) == 1
    assert process.poll() == []


@pytest.mark.heavy  # half a minute: a worker is given time to come to itself
def test_a_worker_that_stands_still_holds_back_what_comes_after_and_is_then_left_behind(
    make_plan, start, worker, eventually, monkeypatch
):
    monkeypatch.setenv(TOKEN, "open sesame")
    plan = make_plan(rate=50, duration=30.0, timeout=0.5)
    port = free_port()
    process = start(plan, Crew(2, Address("127.0.0.1", port)))
    workers = [worker(port, "open sesame") for _ in range(2)]
    eventually(lambda: part_path(plan.output, 3).exists(), "four parts")
    os.kill(workers[0].pid, signal.SIGSTOP)
    time.sleep(1.0)
    recorded_so_far = next_arrival(plan.output)
    time.sleep(4.0)
    assert next_arrival(plan.output) == recorded_so_far, "the one that stands still was overtaken"
    eventually(lambda: next_arrival(plan.output)[0] > recorded_so_far[0], "the other takes up its share")
    assert process.stop() == ExitCode.DONE
    assert_as_one_process_would(plan)
    assert summary(plan)["sessions"] == 2
    told = "\n".join(process.incidents())
    assert "has told nothing for 10 s: the load goes on without it" in told
    assert "1 of 2 load workers take up the shares of all" in told


def test_a_port_that_is_taken_is_said(make_plan, start, eventually):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start(make_plan(), Crew(2, Address("127.0.0.1", taken.getsockname()[1])))
        eventually(lambda: not process.alive, "the end")
    assert process.returncode == ExitCode.USAGE
    assert process.error.startswith("Nobody can listen at 127.0.0.1:")


@pytest.mark.heavy  # a third of a minute: workers find out that they have another master
def test_workers_from_elsewhere_serve_the_master_that_follows_one_that_was_killed(
    server, make_plan, start, worker, eventually, monkeypatch
):
    monkeypatch.setenv(TOKEN, "open sesame")
    plan = make_plan(rate=100, duration=6.0, share=0.2)
    port = free_port()
    crew = Crew(2, Address("127.0.0.1", port))
    killed = start(plan, crew)
    workers = [worker(port, "open sesame") for _ in range(2)]
    eventually(lambda: part_path(plan.output, 3).exists(), "four parts")
    os.kill(killed.pid, signal.SIGKILL)
    eventually(lambda: not killed.alive, "the end")
    arrival, part = next_arrival(plan.output)
    followed = start(replace(plan, first_arrival=arrival, first_part=part), crew)
    eventually(lambda: not followed.alive, "the end")
    assert (followed.returncode, followed.error) == (ExitCode.DONE, "")
    assert_as_one_process_would(plan)
    assert [each.wait(20) for each in workers] == [ExitCode.DONE, ExitCode.DONE]


@pytest.mark.heavy
def test_a_worker_that_is_told_to_end_leaves_its_share_to_another(
    make_plan, start, worker, eventually, monkeypatch
):
    monkeypatch.setenv(TOKEN, "open sesame")
    plan = make_plan(rate=100, duration=60.0, share=0.2)
    port = free_port()
    process = start(plan, Crew(1, Address("127.0.0.1", port)))
    sends = worker(port, "open sesame")
    eventually(lambda: part_path(plan.output, 3).exists(), "four parts")
    worker(port, "open sesame")  # waits, until it is needed
    sends.terminate()
    assert sends.wait(20) == ExitCode.FAILED
    reached = next_arrival(plan.output)[0]
    eventually(lambda: next_arrival(plan.output)[0] > reached + 50, "the other takes up the share")
    assert process.stop() == ExitCode.DONE
    assert_as_one_process_would(plan)
    assert "was told to end, and leaves" in "\n".join(process.incidents())
