"""Experiments as resources: what becomes of them, by how the candidate does."""

from __future__ import annotations

import pytest
from cluster.operator.conftest import Cluster, Start
from cluster.operator.scripted import BAD, GOOD, SAME

pytestmark = pytest.mark.heavy


def test_a_better_candidate_is_shifted_to_and_promoted(cluster: Cluster, start: Start):
    start()
    cluster.create()
    assert cluster.until_step("1/2")["weights"] == {"v1": 90, "v2": 10}
    assert cluster.split() == {"v1": 90, "v2": 10}
    cluster.source().bring(3, GOOD)
    assert cluster.until_step("2/2")["split"] == "v1 50, v2 50"
    assert cluster.split() == {"v1": 50, "v2": 50}
    cluster.source().bring(40, GOOD)
    status = cluster.until_phase("Promoted")
    assert status["verdict"]["verdict"] == "PROMOTE"
    assert status["weights"] == {"v2": 100}
    assert cluster.split() == {"v2": 100}
    conditions = {each["type"]: each["status"] for each in status["conditions"]}
    assert conditions["Complete"] == "True"
    cluster.until_told("Deployed", "Shifted", "Promoted")


def test_a_worse_candidate_is_rolled_back(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    cluster.source().bring(40, BAD)
    status = cluster.until_phase("RolledBack")
    assert status["verdict"]["verdict"] == "ROLLBACK"
    assert cluster.split() == {"v1": 100}


def test_an_inconclusive_trial_holds_and_does_not_promote_later(cluster: Cluster, start: Start):
    start()
    cluster.create(onInconclusive="hold")
    cluster.until_step("1/2")
    cluster.source().bring(61, SAME)
    status = cluster.until_phase("Inconclusive")
    assert status["run"]["kept"] is True
    split = cluster.split()
    assert set(split) == {"v1", "v2"}
    cluster.source().bring(60, GOOD)
    with pytest.raises(TimeoutError):
        cluster.until(lambda status: status["phase"] != "Inconclusive", timeout=2)
    assert cluster.split() == split
    cluster.delete()
    cluster.gone()
    assert cluster.split() == {"v1": 100}
