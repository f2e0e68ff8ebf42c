"""What tells that a predictor is ready: its Deployments as they are now, never what they were."""

from __future__ import annotations

from typing import Any

import pytest
from fairtrial_graphs.backends.kubernetes.marking import MARK
from fairtrial_graphs.backends.kubernetes.readiness import (
    deployments_of,
    has_failed,
    pod_troubles,
    restarts,
    waiting,
)


def deployment(name: str = "wine-v1-0-v1", **status: int) -> dict[str, Any]:
    full = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, **status}
    return {"metadata": {"name": name, "generation": 2}, "spec": {"replicas": 2}, "status": full}


def test_a_settled_deployment_with_its_service_is_ready():
    assert waiting({"name": "v1", "replicas": 2}, [deployment()], has_service=True) is None


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({"observedGeneration": 1}, "has just changed"),
        ({"updatedReplicas": 1}, "1 of 2 pods are of the new version"),
        ({"replicas": 3}, "2 of 2 pods are of the new version"),
        ({"readyReplicas": 1}, "1 of 2 pods are ready"),
        ({"unavailableReplicas": 1}, "2 of 2 pods are ready"),
    ],
)
def test_an_unsettled_one_says_what_it_waits_for(status: dict[str, int], says: str):
    told = waiting({"name": "v1"}, [deployment(**status)], has_service=True)
    assert told is not None
    assert says in told


def test_a_deployment_that_is_not_there_or_of_the_predictor_as_it_was_is_waited_for():
    told = waiting({"name": "v1"}, [], has_service=True)
    assert told == "Seldon Core has not made its Deployment yet"
    told = waiting({"name": "v1", "annotations": {MARK: "new"}}, [deployment()], has_service=True)
    assert told == "Seldon Core has not updated its Deployment yet"
    told = waiting({"name": "v1", "replicas": 5}, [deployment()], has_service=True)
    assert told == "Seldon Core has not scaled it from 2 to 5 yet"
    told = waiting({"name": "v1"}, [deployment()], has_service=False)
    assert told == "Seldon Core has not made its Service yet"


def test_an_autoscaler_may_have_any_number_of_replicas():
    scaled = {"name": "v1", "replicas": 1, "componentSpecs": [{"hpaSpec": {"maxReplicas": 5}}]}
    assert waiting(scaled, [deployment()], has_service=True) is None


def test_deployments_are_told_apart_where_one_predictors_name_begins_with_anothers():
    found = [
        deployment(name) for name in ("wine-v1-0-v1", "wine-v1-0-0-x", "wine-v1-svc-orch", "wine-v2-0-v2")
    ]
    by_predictor = deployments_of("wine", ["v1", "v1-0"], found)
    names = {name: [each["metadata"]["name"] for each in of] for name, of in by_predictor.items()}
    assert names == {"v1": ["wine-v1-0-v1", "wine-v1-svc-orch"], "v1-0": ["wine-v1-0-0-x"]}


def test_a_deadline_that_is_over_is_a_failure():
    failed = deployment()
    failed["status"]["conditions"] = [{"type": "Progressing", "status": "False"}]
    assert has_failed([failed])
    assert not has_failed([deployment()])


def pod(**container: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "status": {"containerStatuses": [{"name": "v2", **container}]}}


def test_troubles_of_pods_are_told_in_words_and_once():
    crashing = pod(
        state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}},
        restartCount=3,
    )
    assert list(pod_troubles([crashing, crashing])) == [
        "container v2 is in CrashLoopBackOff (it ended with OOMKilled, exit code 137)"
    ]
    unpullable = pod(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})
    assert list(pod_troubles([unpullable])) == ["container v2 is in ImagePullBackOff: no such image"]
    assert list(pod_troubles([pod(state={"waiting": {"reason": "ContainerCreating"}})])) == []
    condition = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
    unschedulable = {"metadata": {"name": "p"}, "status": {"conditions": [condition]}}
    assert list(pod_troubles([unschedulable])) == ["a pod cannot be scheduled: 0/1 nodes are available"]
    assert restarts([crashing]) == {("p", "v2"): (3, "OOMKilled, exit code 137")}
