"""What others do to the arms while a step is under way: scaling by hand and by an HPA, much at once."""

from __future__ import annotations

import pytest
from cluster.client import Object
from cluster.operator.conftest import Cluster, Start
from cluster.operator.scripted import GOOD
from cluster.seldon_operator import SELDON

pytestmark = pytest.mark.heavy


def arms(cluster: Cluster) -> dict[str, Object]:
    """The predictors that are applied, by name."""
    found = cluster.api.get(SELDON, "SeldonDeployment", "wine", namespace=cluster.namespace)
    assert found is not None
    return {each["name"]: each for each in found["spec"]["predictors"]}


def scale(cluster: Cluster, deployment: str, replicas: int) -> None:
    change = {"spec": {"replicas": replicas}}
    cluster.api.patch("apps/v1", "Deployment", deployment, change, namespace=cluster.namespace)


def test_an_arm_that_an_autoscaler_scales_during_a_step_keeps_its_pods(cluster: Cluster, start: Start):
    start()
    scaled = {"minReplicas": 1, "maxReplicas": 5}
    asked = {"autoscaling": scaled, "resources": {"requests": {"cpu": "100m"}}}
    candidate = cluster.manifest()["spec"]["candidates"][0] | asked
    cluster.create(candidates=[candidate])
    cluster.until_step("1/2")
    (deployment,) = (
        each["metadata"]["name"]
        for each in cluster.api.list("apps/v1", "Deployment", namespace=cluster.namespace)
        if each["metadata"]["name"].startswith("wine-v2-")
    )
    scale(cluster, deployment, 3)
    cluster.source().bring(6, GOOD)
    cluster.until_step("2/2")
    cluster.source().bring(40, GOOD)
    cluster.until_phase("Promoted")
    found = cluster.api.get("apps/v1", "Deployment", deployment, namespace=cluster.namespace)
    assert found is not None
    assert found["spec"]["replicas"] == 3


def test_an_arm_that_is_scaled_by_hand_during_a_step_is_no_end_of_the_run(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    for each in cluster.api.list("apps/v1", "Deployment", namespace=cluster.namespace):
        scale(cluster, each["metadata"]["name"], 4)
    cluster.source().bring(6, GOOD)
    cluster.until_step("2/2")
    cluster.source().bring(40, GOOD)
    status = cluster.until_phase("Promoted")
    assert status["run"]["attempt"] == 1
    assert cluster.split() == {"v2": 100}


def test_model_and_replicas_changed_at_once_are_one_new_run_with_both(cluster: Cluster, start: Start):
    start()
    cluster.create()
    cluster.until_step("1/2")
    cluster.source().bring(6, GOOD)
    cluster.until_step("2/2")
    spec = cluster.manifest()["spec"]
    baseline = spec["baseline"] | {"replicas": 2}
    candidate = spec["candidates"][0] | {"modelUri": "s3://models/v2-b", "replicas": 3}
    cluster.change(baseline=baseline, candidates=[candidate])
    status = cluster.until(lambda status: status["run"]["attempt"] == 2 and status.get("step") == "1/2")
    applied = arms(cluster)
    assert applied["v2"]["graph"]["modelUri"] == "s3://models/v2-b"
    assert [replicas_of(applied[arm]) for arm in ("v1", "v2")] == [2, 3]
    assert status["weights"] == {"v1": 90, "v2": 10}
    cluster.source(attempt=2).bring(6, GOOD)
    cluster.until_step("2/2")
    cluster.source(attempt=2).bring(40, GOOD)
    assert cluster.until_phase("Promoted")["run"]["attempt"] == 2


def replicas_of(predictor: Object) -> int | None:
    components = predictor.get("componentSpecs") or [{}]
    return components[0].get("replicas") or predictor.get("replicas")


def test_that_callers_are_not_kept_on_their_arm_is_told(cluster: Cluster, start: Start):
    start()
    cluster.create(sticky={"header": "x-user"})
    cluster.until_step("1/2")
    told = dict(cluster.events())
    assert "each request is drawn anew" in told["NotSticky"]
    cluster.source().bring(6, GOOD)
    cluster.until_step("2/2")
    cluster.source().bring(40, GOOD)
    cluster.until_phase("Promoted")
