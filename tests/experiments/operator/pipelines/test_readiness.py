"""What is said of a pipeline, by what became of its spec and of its pod."""

from __future__ import annotations

from typing import Any

import pytest
from fairtrial.operator.pipelines.objects import CHECKSUM
from fairtrial.operator.pipelines.readiness import Outcome, status_of

ACCEPTED = Outcome(True, "Accepted", checksum="new")
UNBOUND = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
           "message": "pod has unbound immediate PersistentVolumeClaims"}  # fmt: skip
READY = {"type": "Ready", "status": "True"}


def pod(*conditions: dict[str, str], checksum: str = "new", **container: Any) -> dict[str, Any]:
    statuses = [{"name": "watch", **container}] if container else []
    metadata = {"name": "wine-pipeline-0", "annotations": {CHECKSUM: checksum}}
    return {"metadata": metadata, "status": {"conditions": list(conditions), "containerStatuses": statuses}}


def told(outcome: Outcome, of: dict[str, Any] | None, before: dict[str, Any] | None = None) -> dict[str, Any]:
    return status_of(outcome, of, before or {}, generation=3, now=0.0)


PULL = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image mine:1"}}}
AWAY = {"state": {"terminated": {"exitCode": 3, "reason": "Error", "message": "away"}}}
CRASH = {
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
    "lastState": {"terminated": {"exitCode": 2, "reason": "Error", "message": "error: no such alias\n"}},
}


@pytest.mark.parametrize(
    ("of", "phase", "message"),
    [
        (None, "Starting", "its pod is not there yet"),
        (pod(), "Starting", "its pod starts"),
        (pod(READY), "Watching", "the pipeline is watched"),
        (pod(READY, checksum="old"), "Starting", "its pod is still that of the spec before"),
        (pod(UNBOUND), "NotReady", "cannot be scheduled: pod has unbound immediate PersistentVolumeClaims"),
        (pod(**PULL), "NotReady", "ImagePullBackOff: Back-off pulling image mine:1"),
        (
            pod(**CRASH),
            "NotReady",
            "in CrashLoopBackOff (it ended with Error, exit code 2); it said last: error: no such alias",
        ),
        (pod(**AWAY), "NotReady", "it said last: away"),
    ],
)
def test_why_it_is_not_ready_is_said_in_words(of: dict[str, Any] | None, phase: str, message: str):
    status = told(ACCEPTED, of)
    assert status["phase"] == phase
    assert message in status["message"]
    ready = {each["type"]: each["status"] for each in status["conditions"]}["Ready"]
    assert ready == ("True" if phase == "Watching" else "False")


def test_a_pod_that_ends_is_not_ready():
    ending = pod(READY)
    ending["metadata"]["deletionTimestamp"] = "2026-11-28T00:00:00Z"
    assert told(ACCEPTED, ending)["phase"] == "Starting"


def test_what_ran_before_a_mistake_is_ready_still():
    status = told(Outcome(False, "Mistakes", "spec.x: unknown"), pod(READY, checksum="old"))
    assert (status["phase"], status["message"]) == ("Refused", "spec.x: unknown")
    holds = {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}
    assert holds == {"Accepted": ("False", "Mistakes"), "Ready": ("True", "Watching")}


def test_what_could_not_be_done_yet_is_pending():
    status = told(Outcome(None, "Forbidden", "may not"), None)
    assert (status["phase"], status["message"]) == ("Pending", "may not")
    assert {each["status"] for each in status["conditions"]} == {"Unknown", "False"}


def test_only_the_operators_own_fields_are_told_and_a_condition_keeps_its_time():
    first = told(ACCEPTED, pod(READY), {"inService": "7", "last": {"action": "promoted"}})
    assert first.keys() == {"observedGeneration", "phase", "message", "conditions"}
    again = status_of(ACCEPTED, pod(READY), first, generation=3, now=60.0)
    assert again == first
