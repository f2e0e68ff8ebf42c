"""Several processes for one predictor: how they share the load, and what one costs that dies."""

import os
from collections import Counter
from pathlib import Path

import psutil
from fairtrial_graphs.backends.interface import Incident, Route
from fairtrial_graphs.backends.local import LocalBackend
from fairtrial_graphs.build import Arm, build
from graphs.processes import descendants, until
from graphs.traffic import Answer, Load

CALLERS = 16


def quietly(_: str) -> None:
    pass


def arm(name: str, replicas: int, **parameters: str) -> Arm:
    return Arm(name, "m", "STANDIN", replicas=replicas, parameters=parameters)


def servers(answers: list[Answer]) -> Counter[int]:
    return Counter(answer.server for answer in answers if answer.server is not None)


def kill(*pids: int) -> None:
    for pid in pids:
        psutil.Process(pid).kill()


def await_incidents(backend: LocalBackend, count: int) -> list[Incident]:
    found: list[Incident] = []
    until(lambda: bool(found.extend(backend.incidents())) or len(found) >= count, 20, "incidents")
    return found


def test_a_killed_replica_costs_at_most_the_requests_under_way_and_comes_back(backend: LocalBackend):
    # It listens for half a second before it has its model, as MLServer does: too early for requests.
    serving = backend.apply(build("d", [arm("v1", 2, loading="0.5")]), Route("r"), quietly)
    with Load(serving.url, callers=CALLERS).in_background() as load:
        load.wait_for(400)
        before = servers(load.answers)
        killed = min(before)
        kill(killed)
        (incident,) = await_incidents(backend, 1)
        alive = len(load.answers)
        until(lambda: bool(servers(load.answers[alive:]) - before), 20, "the replica to answer again")
        load.wait_for(400)
    assert len(before) == 2
    failed = [number for number, answer in enumerate(load.answers) if answer.status != 200]
    assert len(failed) <= CALLERS
    assert not failed or failed[-1] < alive  # none while it was away, none when it came back
    assert {(answer.status, answer.arm) for answer in load.answers} <= {(200, "v1"), (503, "v1")}
    assert killed not in servers(load.answers[alive:])
    assert (incident.predictor, incident.restarted) == ("v1", True)
    assert incident.message.endswith("of v1 was killed by SIGKILL; started again (1 of 5)")
    assert incident.message.startswith("the model server of replica ")
    assert backend.incidents() == []


def test_replicas_share_the_load_whatever_they_answer(backend: LocalBackend):
    arms = [arm("v1", 2, error="yes"), arm("v2", 1)]
    serving = backend.apply(build("d", arms, {"v1": 50, "v2": 50}), Route("r"), quietly)
    answers = Load(serving.url, count=1_000).run()
    mine = servers([answer for answer in answers if answer.arm == "v1"])
    assert {(answer.arm, answer.status) for answer in answers} == {("v1", 500), ("v2", 200)}
    assert len(mine) == 2
    assert min(mine.values()) > 0.3 * sum(mine.values())


def test_a_replica_that_breaks_off_its_requests_is_left_out(backend: LocalBackend, tmp_path: Path):
    arms = [arm("v1", 2, breaking=str(tmp_path / "one of them"))]
    serving = backend.apply(build("d", arms), Route("r"), quietly)
    answers = Load(serving.url, count=1_000).run()
    failed = sum(answer.status != 200 for answer in answers)
    assert 0 < failed < 100  # it would have most of them, being the less busy one
    assert backend.incidents() == []


def test_the_last_replica_left_answers_alone(backend: LocalBackend):
    serving = backend.apply(build("d", [arm("v1", 3, loading="1")]), Route("r"), quietly)
    with Load(serving.url, callers=CALLERS).in_background() as load:
        load.wait_for(300)
        first, second, third = servers(load.answers)
        kill(first, second)
        await_incidents(backend, 2)
        alone = len(load.answers)
        load.wait_for(200)
        assert set(servers(load.answers[alone : alone + 200])) == {third}
    assert sum(answer.status != 200 for answer in load.answers) <= 2 * CALLERS
    assert {answer.status for answer in load.answers[alone:]} == {200}


def test_an_arm_with_no_replica_left_fails_under_its_own_name_and_comes_back(backend: LocalBackend):
    arms = [arm("v1", 2, loading="0.5"), arm("v2", 1)]
    serving = backend.apply(build("d", arms, {"v1": 50, "v2": 50}), Route("r"), quietly)
    with Load(serving.url).in_background() as load:
        load.wait_for(200)
        kill(*servers([answer for answer in load.answers if answer.arm == "v1"]))
        await_incidents(backend, 2)
        until(lambda: Load(serving.arms["v1"].url, count=1).run()[0].status == 200, 10, "v1 to answer again")
        until(lambda: {a.status for a in load.answers[-100:]} == {200}, 10, "the split to be whole again")
    assert {answer.arm for answer in load.answers if answer.status != 200} == {"v1"}


def test_a_removed_predictor_takes_all_its_replicas_along(backend: LocalBackend, tmp_path: Path):
    def running() -> int:
        mine = [p.cmdline() for p in descendants(os.getpid())]
        return sum('"node": "v2"' in command[-1] and "guard.py" not in " ".join(command) for command in mine)

    said: list[str] = []
    backend.apply(build("d", [arm("v1", 1), arm("v2", 3)], {"v1": 50, "v2": 50}), Route("r"), said.append)
    assert "starting v2: 3 replicas of STANDIN m" in said
    assert running() == 3
    assert [log.parent.name for log in sorted(tmp_path.rglob("v2.log"))] == [
        "replica-1",
        "replica-2",
        "replica-3",
    ]
    backend.apply(build("d", [arm("v1", 1)]), Route("r2"), quietly)
    assert running() == 0
