"""What happens to the arms and to the evidence: pods that crash, metrics that are not there."""

from __future__ import annotations

import pytest
from cluster.operator.conftest import Cluster, Start
from cluster.operator.scripted import BAD, GOOD
from cluster.operator.test_requests import conditions

pytestmark = pytest.mark.heavy


def test_a_candidate_that_is_never_ready_is_taken_out_at_the_deadline(cluster: Cluster, start: Start):
    start(ready_timeout=2.0)
    cluster.unhealthy("v2")
    cluster.create()
    status = cluster.until_phase("Failed")
    assert status["message"].startswith("not ready after 2 s: v2: 0 of 1 pods are ready")
    assert status["message"].endswith("; all traffic goes to v1")
    assert cluster.split() == {"v1": 100}
    found = cluster.get()
    assert found is not None
    assert "verdict" not in found["status"]


def test_a_candidate_that_crashes_at_50_is_taken_out(cluster: Cluster, start: Start):
    start(unready_limit=1.0)
    cluster.create()
    cluster.until_step("1/2")
    cluster.source().bring(3, GOOD)
    cluster.until_step("2/2")
    cluster.unhealthy("v2")
    status = cluster.until_phase("Failed")
    assert "v2 has had no ready pod for" in status["message"]
    assert cluster.split() == {"v1": 100}


def test_a_baseline_that_crashes_holds_the_run_and_needs_a_person_to_promote(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    cluster.unhealthy("v1")
    status = cluster.until(
        lambda status: conditions(status).get("Progressing") == ("False", "BaselineNotReady")
    )
    cluster.source().bring(40, GOOD)
    cluster.until(lambda status: status.get("verdict", {}).get("verdict") == "PROMOTE")
    assert cluster.split() == {"v1": 90, "v2": 10}
    cluster.healthy("v1")
    status = cluster.until_phase("AwaitingApproval")
    assert "during the trial v1 is not ready" in status["run"]["doubt"]
    assert cluster.split() == {"v1": 90, "v2": 10}
    cluster.annotate(approve="true")
    cluster.until_phase("Promoted")
    assert cluster.split() == {"v2": 100}


def test_absent_metrics_hold_the_run(cluster: Cluster, start: Start):
    start(quiet_limit=1.0)
    cluster.create()
    status = cluster.until(lambda status: conditions(status).get("Evidence") == ("False", "NoEvidence"))
    assert status["phase"] == "Running"
    assert cluster.split() == {"v1": 90, "v2": 10}
    cluster.source().bring(40, GOOD)
    status = cluster.until_phase("Promoted")


def test_a_source_that_is_away_is_no_evidence(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    cluster.source().has_trouble("Prometheus answers 503")
    status = cluster.until(
        lambda status: conditions(status).get("Evidence") == ("False", "SourceUnavailable")
    )
    assert status["phase"] == "Running"
    cluster.source().has_trouble(None)
    cluster.source().bring(40, BAD)
    cluster.until_phase("RolledBack")


def test_a_reader_that_dies_is_begun_again_where_it_was(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    cluster.source().bring(3, GOOD)
    cluster.until_step("2/2")
    cluster.source().dies("the collector is gone")
    status = cluster.until(
        lambda status: conditions(status).get("Evidence") == ("False", "SourceUnavailable")
    )
    assert "the collector is gone" in dict(cluster.events())["SourceUnavailable"]
    cluster.source().bring(40, GOOD)
    cluster.source().dies(None)
    status = cluster.until_phase("Promoted")
    assert conditions(status)["Evidence"] == ("True", "Flowing")


def test_a_run_whose_observations_cannot_be_read_again_waits_where_it_stands(cluster: Cluster, start: Start):
    first = start()
    cluster.create()
    cluster.until_step("1/2")
    cluster.source().bring(6, GOOD)
    cluster.until_step("2/2")
    first.stop()
    cluster.source().dies("the collector is gone")
    start()
    status = cluster.until(
        lambda status: conditions(status).get("Evidence") == ("False", "SourceUnavailable")
    )
    assert status["step"] == "2/2"
    assert cluster.split() == {"v1": 50, "v2": 50}
    cluster.source().dies(None)
    cluster.source().bring(40, GOOD)
    cluster.until_phase("Promoted")


def test_late_observations_change_nothing_that_was_judged(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    cluster.source().bring(5, GOOD)
    cluster.until_step("2/2")
    cluster.source().bring_late(3, BAD)
    cluster.source().bring(40, GOOD)
    status = cluster.until_phase("Promoted")
    assert any("clock" in note for note in status["verdict"]["notes"])


def test_an_edit_by_another_hand_ends_the_trial_and_is_left_as_it_is(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    found = cluster.api.get("machinelearning.seldon.io/v1", "SeldonDeployment", "wine",
                            namespace=cluster.namespace)  # fmt: skip
    assert found is not None
    for predictor, weight in zip(found["spec"]["predictors"], (70, 30), strict=True):
        predictor["traffic"] = weight
    cluster.api.replace(found)
    status = cluster.until_phase("Failed")
    assert "was changed by tests during the trial" in status["message"]
    assert status["conditions"][-1]["reason"] == "Interfered"
    cluster.until_split(v1=70, v2=30)
