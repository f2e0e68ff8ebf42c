"""What people do to an experiment while it runs: pause, resume, abort, retry, change, delete, two at once."""

from __future__ import annotations

import pytest
from cluster.client import RefusedError
from cluster.operator.conftest import EXPERIMENT, Cluster, Start
from cluster.operator.scripted import BAD, GOOD
from cluster.seldon_operator import SELDON

pytestmark = pytest.mark.heavy


def conditions(status: dict) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status.get("conditions", ())}


def annotations(cluster: Cluster, name: str = "wine") -> dict[str, str]:
    found = cluster.get(name)
    assert found is not None
    return found["metadata"].get("annotations", {})


def test_what_is_aborted_returns_to_the_baseline_and_a_retry_begins_anew(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    cluster.source().bring(3, GOOD)
    cluster.until_step("2/2")
    cluster.annotate(abort="true")
    status = cluster.until_phase("Aborted")
    assert cluster.split() == {"v1": 100}
    assert status["message"] == "aborted on request; all traffic goes to v1"
    assert status["run"]["attempt"] == 1
    assert "fairtrial.dev/abort" not in annotations(cluster)
    cluster.annotate(retry="true")
    status = cluster.until_step("1/2")
    assert status["run"]["attempt"] == 2
    assert [each["kind"] for each in status["journal"]][:2] == ["started", "intended"]
    assert cluster.split() == {"v1": 90, "v2": 10}
    cluster.source(attempt=2).bring(40, GOOD)
    cluster.until_phase("Promoted")
    assert "fairtrial.dev/retry" not in annotations(cluster)


def test_a_request_that_says_nothing_to_anybody_is_answered(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    cluster.source().bring(40, GOOD)
    cluster.until_phase("Promoted")
    cluster.annotate(abort="true")
    cluster.api.wait(*EXPERIMENT, "wine", lambda e: e is not None and not e["metadata"].get("annotations"),
                     namespace=cluster.namespace)  # fmt: skip
    assert cluster.status()["phase"] == "Promoted"
    assert cluster.split() == {"v2": 100}
    cluster.until_told("NothingToDo")


def test_a_paused_run_is_judged_and_not_shifted(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    cluster.annotate(pause="true")
    status = cluster.until_phase("Paused")
    assert conditions(status)["Progressing"] == ("False", "Paused")
    cluster.source().bring(4, GOOD)
    cluster.until(lambda status: any(each["kind"] == "held" for each in status["journal"]))
    assert cluster.split() == {"v1": 90, "v2": 10}
    cluster.annotate(pause=None)
    cluster.until_phase("Running")
    cluster.source().bring(3, GOOD)
    cluster.until_step("2/2")
    assert cluster.split() == {"v1": 50, "v2": 50}


def test_a_paused_run_is_rolled_back_all_the_same(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    cluster.annotate(pause="true")
    cluster.until_phase("Paused")
    cluster.source().bring(40, BAD)
    cluster.until_phase("RolledBack")
    assert cluster.split() == {"v1": 100}


def test_a_paused_run_waits_to_promote(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    cluster.source().bring(3, GOOD)
    cluster.until_step("2/2")
    cluster.annotate(pause="true")
    cluster.until_phase("Paused")
    cluster.source().bring(40, GOOD)
    cluster.until(lambda status: status["verdict"]["verdict"] == "PROMOTE")
    assert cluster.split() == {"v1": 50, "v2": 50}
    cluster.annotate(pause="false")
    cluster.until_phase("Promoted")


def test_a_changed_spec_ends_the_run_and_begins_another(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    cluster.source().bring(3, GOOD)
    cluster.until_step("2/2")
    changed = cluster.manifest()["spec"]["candidates"][0] | {"name": "v3", "modelUri": "s3://models/v3"}
    cluster.change(candidates=[changed])
    status = cluster.until(lambda status: status["run"]["attempt"] == 2 and status.get("step") == "1/2")
    assert status["weights"] == {"v1": 90, "v3": 10}
    assert cluster.split() == {"v1": 90, "v3": 10}
    told = dict(cluster.events())
    assert told["Superseded"].startswith(
        "superseded by a change of the spec: another run follows; all traffic"
    )
    # What was seen of v2 counts for nothing.
    assert not [each for each in status["journal"] if each["kind"] == "look"]


def test_good_to_bad_to_good(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    cluster.source().bring(40, GOOD)
    cluster.until_phase("Promoted")
    of = cluster.manifest()["spec"]
    v2, v3, v4 = (
        of["baseline"] | {"name": name, "modelUri": f"s3://models/{name}"} for name in ("v2", "v3", "v4")
    )
    for attempt, candidate, accuracy, phase, serves in (
        (2, v3, BAD, "RolledBack", "v2"),
        (3, v4, GOOD, "Promoted", "v4"),
    ):
        cluster.change(baseline=v2, candidates=[candidate])
        cluster.until(lambda status, n=attempt: status["run"]["attempt"] == n and status.get("step") == "1/2")
        cluster.source(attempt=attempt).bring(40, accuracy, arms=("v2", candidate["name"]))
        cluster.until_phase(phase)
        assert cluster.split() == {serves: 100}


def test_what_is_deleted_in_the_middle_returns_to_the_baseline_first(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    cluster.source().bring(3, GOOD)
    cluster.until_step("2/2")
    cluster.delete()
    cluster.gone()
    assert cluster.split() == {"v1": 100}


def test_what_is_deleted_while_it_deploys_returns_to_the_baseline(cluster: Cluster, start: Start):
    start(ready_timeout=60.0)
    cluster.unhealthy("v2")
    cluster.create()
    cluster.until_phase("Deploying")
    cluster.delete()
    cluster.gone()
    assert cluster.split() == {"v1": 100}


def test_two_experiments_on_one_deployment_are_not_run_at_once(cluster: Cluster, start: Start):
    start()
    node = {"type": "MODEL", "implementation": "SKLEARN_SERVER", "modelUri": "s3://models/v"}
    arms: list[dict] = [{"name": name, "graph": {"name": name, **node}} for name in ("v1", "v2")]
    arms[0]["traffic"], arms[1]["traffic"] = 100, 0
    by_hand = {"apiVersion": SELDON, "kind": "SeldonDeployment", "metadata": {"name": "wine"},
               "spec": {"protocol": "v2", "predictors": arms}}  # fmt: skip
    cluster.api.apply(by_hand, namespace=cluster.namespace)
    named = {"baseline": {"name": "v1"}, "candidates": [{"name": "v2"}], "deployment": "wine"}
    cluster.create("first", asking="take-over", **named)
    cluster.until_step("1/2", "first")
    cluster.create("second", asking="take-over", **named)
    status = cluster.until_phase("Refused", "second")
    assert "is on trial in experiment first already" in status["message"]
    assert conditions(status)["Accepted"] == ("False", "DeploymentOnTrial")
    cluster.source("first").bring(40, BAD)
    cluster.until_phase("RolledBack", "first")
    assert cluster.split() == {"v1": 100}
    assert cluster.status("second")["phase"] == "Refused"
    cluster.api.apply(by_hand, namespace=cluster.namespace, force=True)
    cluster.annotate("second", retry="true")
    cluster.until_step("1/2", "second")


@pytest.mark.parametrize(
    ("named", "why"),
    [("gone", "there is no SeldonDeployment"), ("../x.yaml", "on a cluster this is the name")],
)
def test_a_deployment_that_is_not_there_is_told(cluster: Cluster, start: Start, named: str, why: str):
    start()
    cluster.create(baseline={"name": "v1"}, candidates=[{"name": "v2"}], deployment=named)
    assert why in cluster.until_phase("Failed")["message"]


def test_a_malformed_spec_is_told_and_runs_once_it_is_mended(cluster: Cluster, start: Start):
    start()
    bad = cluster.manifest()["spec"]["metrics"] + [{"name": "madeUp"}]
    cluster.create(metrics=bad)
    status = cluster.until_phase("Failed")
    assert 'spec.metrics.1.name: unknown metric "madeUp"' in status["message"]
    with pytest.raises(RefusedError):
        cluster.change(metrics=[{"name": 3}])
    cluster.change(metrics=bad[:1])
    cluster.until_step("1/2")
    cluster.source(attempt=2).bring(40, GOOD)
    cluster.until_phase("Promoted")


def test_a_file_of_one_machine_is_refused_in_words(cluster: Cluster, start: Start):
    start()
    baseline = cluster.manifest()["spec"]["baseline"] | {"modelUri": "models/v1"}
    cluster.create(baseline=baseline)
    status = cluster.until_phase("Failed")
    assert "spec.baseline.modelUri: models/v1 is a file of one machine" in status["message"]
