"""The operator is killed in each phase of a run, and another goes on with it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster.control_plane import ControlPlane
from cluster.operator.conftest import Cluster, Start
from cluster.operator.scripted import BAD, GOOD

pytestmark = pytest.mark.heavy

Process = Callable[..., "subprocess.Popen[bytes]"]
_KILLED = Path(__file__).with_name("killed.py")


@pytest.fixture
def process(control_plane: ControlPlane, cluster: Cluster) -> Iterator[Process]:
    """An operator as a process of its own, which kills itself at an entry of a journal."""
    running: list[subprocess.Popen[bytes]] = []

    def new(entry: str = "never", when: str = "after") -> subprocess.Popen[bytes]:
        told = [str(control_plane.kubeconfig), cluster.namespace, str(cluster.sources), entry, when]
        running.append(
            subprocess.Popen(
                [sys.executable, str(_KILLED), *told], env={"PYTHONPATH": str(Path(__file__).parents[2])}
            )
        )
        return running[-1]

    yield new
    for each in running:
        each.kill()
        each.wait()


def assert_promoted_once(cluster: Cluster) -> None:
    status = cluster.until_phase("Promoted", timeout=30.0)
    assert cluster.split() == {"v2": 100}
    done = Counter(each["effect"] for each in status["journal"] if each["kind"] == "done")
    assert done["promote"] == 1
    served = [each["body"]["revision"] for each in status["journal"]
              if each["kind"] == "done" and "revision" in each.get("body", {})]  # fmt: skip
    assert served == sorted(served)
    assert served[0] == "step-1"
    cluster.until_told("Promoted", timeout=10.0)
    assert Counter(reason for reason, _ in cluster.events())["Promoted"] == 1


@pytest.mark.slow  # a process for each phase
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "entry",
    [
        "deploy/intended", "deploy/done", "load/done", "shift/intended", "shift/done",
        "stopLoad/intended", "verdict", "promote/intended", "promote/done", "ended",
    ],
)  # fmt: skip
def test_a_run_of_a_killed_operator_comes_to_its_end(
    cluster: Cluster, process: Process, start: Start, entry: str, when: str
):
    first = process(entry, when)
    cluster.create()
    cluster.source().bring(6, GOOD)
    cluster.source().bring(40, GOOD)
    assert first.wait(60) == -signal.SIGKILL
    start()
    assert_promoted_once(cluster)


def test_a_run_of_an_operator_that_was_killed_while_it_shifted_comes_to_its_end(
    cluster: Cluster, process: Process, start: Start
):
    first = process("shift/intended")
    cluster.create()
    cluster.source().bring(6, GOOD)
    assert first.wait(60) == -signal.SIGKILL
    start()
    cluster.until_step("2/2")
    cluster.source().bring(40, GOOD)
    assert_promoted_once(cluster)


def test_a_run_of_an_operator_that_was_killed_on_its_way_back_comes_back(
    cluster: Cluster, process: Process, start: Start
):
    first = process("rollback/intended")
    cluster.create()
    cluster.source().bring(40, BAD)
    assert first.wait(60) == -signal.SIGKILL
    start()
    cluster.until_phase("RolledBack")
    assert cluster.split() == {"v1": 100}


def test_one_that_is_told_to_end_lets_the_lease_go_and_leaves_its_run_to_the_next(
    cluster: Cluster, process: Process, start: Start
):
    first = process()
    cluster.create()
    cluster.until_step("1/2")
    first.terminate()
    assert first.wait(30) == 0
    lease = cluster.api.get(
        "coordination.k8s.io/v1", "Lease", "fairtrial-operator", namespace=cluster.namespace
    )
    assert lease is not None
    assert not lease["spec"].get("holderIdentity")
    start()
    cluster.source().bring(6, GOOD)
    cluster.until_step("2/2")


def test_what_was_changed_or_deleted_while_no_operator_ran_is_seen_by_the_next(
    cluster: Cluster, start: Start
):
    first = start()
    for name in ("wine", "beer"):
        cluster.create(name)
        cluster.until_step("1/2", name)
    first.stop()
    cluster.delete("beer")
    arm = cluster.manifest()["spec"]["candidates"][0] | {"name": "v3"}
    cluster.change(candidates=[arm])
    start()
    cluster.gone("beer")
    assert cluster.split("beer") == {"v1": 100}
    status = cluster.until(lambda status: status["run"]["attempt"] == 2 and status.get("step") == "1/2")
    assert status["weights"] == {"v1": 90, "v3": 10}


def test_a_second_replica_waits_and_takes_over_when_the_first_is_killed(
    cluster: Cluster, process: Process, start: Start
):
    first = process()
    cluster.create()
    led_by = cluster.until_step("1/2")["operator"]
    second = start()
    cluster.source().bring(6, GOOD)
    assert cluster.until_step("2/2")["operator"] == led_by
    first.kill()
    cluster.source().bring(40, GOOD)
    status = cluster.until_phase("Promoted")
    assert status["operator"] != led_by
    second.stop()
