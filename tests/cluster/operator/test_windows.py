"""Experiments that go forward at their times only, as `spec.schedule` says."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from cluster.client import Object
from cluster.operator.conftest import Cluster, Start
from cluster.operator.scripted import BAD, GOOD
from cluster.operator.test_approval import Moved

pytestmark = pytest.mark.heavy

_DAY = 86_400.0


def frozen(first: int, last: int) -> dict[str, list[dict[str, str]]]:
    """A schedule with a freeze from the n-th day from now on to the end of another."""

    def day(number: int) -> str:
        return datetime.fromtimestamp(time.time() + number * _DAY, UTC).strftime("%Y-%m-%d")

    return {"freezes": [{"from": day(first), "to": day(last)}]}


def progressing(status: Object) -> tuple[str, str]:
    found = next(each for each in status["conditions"] if each["type"] == "Progressing")
    return found["status"], found["reason"]


def test_nothing_is_deployed_before_the_freeze_is_over_also_after_a_restart(cluster: Cluster, start: Start):
    now = Moved()
    first = start(now=now)
    cluster.create(schedule=frozen(-2, 2))
    status = cluster.until_phase("AwaitingWindow")
    assert progressing(status) == ("False", "OutsideWindow")
    assert status["message"].startswith("the freeze of spec.schedule ends")
    first.stop()
    start(now=now)
    assert cluster.until_phase("AwaitingWindow")["journal"][-1]["kind"] == "awaitsWindow"
    assert not cluster.api.list(
        "machinelearning.seldon.io/v1", "SeldonDeployment", namespace=cluster.namespace
    )
    now.ahead = 4 * _DAY
    cluster.until_step("1/2")
    assert sum(each["kind"] == "awaitsWindow" for each in cluster.status()["journal"]) == 1


def test_one_that_waits_to_begin_can_be_aborted(cluster: Cluster, start: Start):
    start()
    cluster.create(schedule=frozen(-2, 2))
    cluster.until_phase("AwaitingWindow")
    cluster.annotate(abort="true")
    assert cluster.until_phase("Aborted")["message"] == "aborted on request; nothing was deployed"


def test_a_step_and_a_promotion_wait_for_the_end_of_a_freeze(cluster: Cluster, start: Start):
    now = Moved()
    start(now=now)
    cluster.create(schedule=frozen(2, 4))
    cluster.until_step("1/2")
    now.ahead = 3 * _DAY
    cluster.source().bring(6, GOOD)
    status = cluster.until_phase("AwaitingWindow")
    assert progressing(status) == ("False", "OutsideWindow")
    cluster.source().bring(40, GOOD)
    status = cluster.until(lambda status: status.get("verdict", {}).get("verdict") == "PROMOTE")
    status = cluster.until(lambda status: any(each["kind"] == "awaitsWindow" for each in status["journal"]))
    assert status["phase"] == "AwaitingWindow"
    assert cluster.split() == {"v1": 90, "v2": 10}
    now.ahead = 6 * _DAY
    cluster.until_phase("Promoted")
    assert cluster.split() == {"v2": 100}


def test_a_candidate_that_loses_in_a_freeze_is_rolled_back_at_once(cluster: Cluster, start: Start):
    now = Moved()
    start(now=now)
    cluster.create(schedule=frozen(2, 4))
    cluster.until_step("1/2")
    now.ahead = 3 * _DAY
    cluster.source().bring(40, BAD)
    cluster.until_phase("RolledBack")
    assert cluster.split() == {"v1": 100}


def test_a_yes_can_be_said_outside_of_the_windows_and_the_window_is_waited_for(
    cluster: Cluster, start: Start
):
    now = Moved()
    start(now=now)
    cluster.create(schedule=frozen(2, 4), approval={})
    cluster.until_step("1/2")
    cluster.source().bring(40, GOOD)
    now.ahead = 3 * _DAY
    cluster.until_phase("AwaitingApproval")
    cluster.annotate(approve="ann@desk")
    cluster.until_phase("AwaitingWindow")
    now.ahead = 6 * _DAY
    cluster.until_phase("Promoted")
