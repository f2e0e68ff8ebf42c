"""The manifests of load workers: named, safe by default, and without a secret in what anybody may read."""

import json

import pytest
from fairtrial_graphs.load_jobs import LoadJob, master_service
from fairtrial_loadtests.crew import TOKEN


def job(**changes):
    said = {
        "name": "wine-1",
        "image": "registry.example/loadtests:1",
        "workers": 3,
        "master": "10.0.0.7:5557",
    }
    return LoadJob(**{**said, "longest": 120.0, **changes})


def test_the_token_is_in_the_secret_and_nowhere_else():
    secret, manifest = job().manifests("open sesame")
    assert secret["stringData"] == {"token": "open sesame"}
    assert "open sesame" not in json.dumps(manifest)
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each for each in container["env"]}
    reference = variables[TOKEN]["valueFrom"]["secretKeyRef"]
    assert (reference["name"], reference["key"]) == (secret["metadata"]["name"], "token")


def test_pods_are_what_the_strictest_standard_of_kubernetes_asks_for():
    pod = job().job()["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert [each["mountPath"] for each in container["volumeMounts"]] == ["/tmp"]


def test_nothing_stays_for_ever():
    spec = job(longest=7200.0).job()["spec"]
    assert (spec["parallelism"], spec["completions"], spec["backoffLimit"]) == (3, 3, 9)
    assert 7200 < spec["activeDeadlineSeconds"] < 9000
    assert spec["ttlSecondsAfterFinished"] == 3600


def test_labels_and_owner_are_on_all_of_them_and_ours_are_not_replaced():
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "run", "uid": "u"}
    made = job(owner=owner, namespace="trials", labels={"team": "a", "app.kubernetes.io/name": "x"})
    for manifest in (*made.manifests("t"), master_service(made, 5557, {"app": "operator"})):
        assert manifest["metadata"]["ownerReferences"] == [owner]
        assert manifest["metadata"]["namespace"] == "trials"
        assert manifest["metadata"]["labels"]["team"] == "a"
        assert manifest["metadata"]["labels"]["app.kubernetes.io/name"] == "fairtrial"


def test_a_long_name_still_leaves_room_for_what_pods_are_called():
    made = job(name="a" * 80)
    assert len(made.job_name) + len("-12345") <= 63
    assert all(len(value) <= 63 for value in made.selector.values())


def test_no_worker_is_no_load():
    with pytest.raises(ValueError, match="at least 1"):
        job(workers=0)
