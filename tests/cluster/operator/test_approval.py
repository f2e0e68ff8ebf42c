"""Promotions that wait for a person because the experiment asks for one."""

from __future__ import annotations

import time

import pytest
from cluster.client import Object
from cluster.operator.conftest import Cluster, Start
from cluster.operator.scripted import GOOD

pytestmark = pytest.mark.heavy


def waiting(cluster: Cluster, **approval: str) -> Object:
    """The status of an experiment whose candidate has passed."""
    cluster.create(approval=approval)
    cluster.until_step("1/2")
    cluster.source().bring(6, GOOD)
    cluster.until_step("2/2")
    cluster.source().bring(40, GOOD)
    return cluster.until_phase("AwaitingApproval")


def test_it_is_promoted_once_somebody_approves_over_a_restart_and_who_did_is_written_down(
    cluster: Cluster, start: Start
):
    first = start()
    status = waiting(cluster, timeout="1h")
    assert status["verdict"]["verdict"] == "PROMOTE"
    assert cluster.split() == {"v1": 50, "v2": 50}
    first.stop()
    cluster.annotate(approve="ann@desk")
    start()
    status = cluster.until_phase("Promoted")
    assert cluster.split() == {"v2": 100}
    assert [e["body"] for e in status["journal"] if e["kind"] == "approved"] == [{"by": "ann@desk"}]
    assert ("Approved", "ann@desk has approved the promotion") in cluster.events()


def test_when_nobody_approves_in_time_the_baseline_serves(cluster: Cluster, start: Start):
    start()
    waiting(cluster, timeout="3s")
    status = cluster.until_phase("Aborted")
    assert status["message"] == "nobody approved the promotion in time; all traffic goes to v1"
    assert cluster.split() == {"v1": 100}


def test_one_that_waits_can_be_aborted(cluster: Cluster, start: Start):
    start()
    waiting(cluster)
    cluster.annotate(abort="true")
    cluster.until_phase("Aborted")
    assert cluster.split() == {"v1": 100}


def test_a_pause_outlasts_the_time_and_a_yes_that_was_said_in_it_counts(cluster: Cluster, start: Start):
    now = Moved()
    start(now=now)
    waiting(cluster, timeout="1h")
    cluster.annotate(pause="true")
    cluster.until_phase("Paused")
    cluster.annotate(approve="ann@desk")
    now.ahead = 7200.0
    cluster.source().bring(1, GOOD)
    cluster.annotate(pause=None)
    cluster.until_phase("Promoted")
    assert cluster.split() == {"v2": 100}


def test_a_time_that_was_over_during_a_pause_ends_the_run_after_it(cluster: Cluster, start: Start):
    now = Moved()
    start(now=now)
    waiting(cluster, timeout="1h")
    cluster.annotate(pause="true")
    cluster.until_phase("Paused")
    now.ahead = 7200.0
    cluster.annotate(pause=None)
    status = cluster.until_phase("Aborted")
    assert status["message"] == "nobody approved the promotion in time; all traffic goes to v1"


class Moved:
    """The time, set ahead by hand."""

    ahead = 0.0  # seconds

    def __call__(self) -> float:
        return time.time() + self.ahead
