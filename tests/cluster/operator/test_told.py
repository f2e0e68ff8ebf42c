"""Experiments on a cluster tell of their turns, and what was told is not told again by the next operator."""

from __future__ import annotations

import pytest
from cluster.operator.conftest import Cluster, Start
from cluster.operator.scripted import GOOD
from experiments.listener import listening

pytestmark = pytest.mark.heavy


def test_each_turn_is_told_once_over_a_restart_of_the_operator(cluster: Cluster, start: Start):
    with listening() as listener:
        first = start()
        cluster.create(notifications=[{"webhook": listener.url}, {"webhook": "http://127.0.0.1:9/"}])
        cluster.until_step("1/2")
        cluster.source().bring(3, GOOD)
        cluster.until_step("2/2")
        first.stop()
        start()
        cluster.source().bring(40, GOOD)
        status = cluster.until_phase("Promoted", timeout=40)
    assert listener.events == ["started", "step", "verdict", "promoted"]
    assert listener.got[1]["text"] == "traffic: 50% v1, 50% v2"
    told = [entry["body"] for entry in status["journal"] if entry["kind"] == "told"]
    assert [each["to"] for each in told] == ["notifications.0"]
    incidents = [entry["body"]["message"] for entry in status["journal"] if entry["kind"] == "incident"]
    assert any(each.startswith("spec.notifications.1: the webhook at 127.0.0.1 cannot") for each in incidents)
