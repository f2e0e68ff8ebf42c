"""What a Pipeline becomes. That the pod is the chart's is held by tests/cluster."""

from __future__ import annotations

from typing import Any

from experiments.operator.pipelines.specs import LISTENING, experiment, spec, wanted
from fairtrial.operator.pipelines.objects import CHECKSUM, KINDS, manifests


def made(said: dict[str, Any], **beside: Any) -> dict[str, dict[str, Any]]:
    """By kind."""
    return {kind.name: manifest for kind, manifest in manifests(wanted(said, **beside)).items()}


def pod(said: dict[str, Any], **beside: Any) -> dict[str, Any]:
    return made(said, **beside)["StatefulSet"]["spec"]["template"]


def container(said: dict[str, Any], **beside: Any) -> dict[str, Any]:
    (found,) = pod(said, **beside)["spec"]["containers"]
    return found


def checksum(said: dict[str, Any], **beside: Any) -> str:
    return pod(said, **beside)["metadata"]["annotations"][CHECKSUM]


def test_all_are_owned_by_the_pipeline_but_the_volume_of_its_history():
    for kind, each in made(spec()).items():
        (owner,) = each["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("Pipeline", "wine", "uid-1"), kind
        assert "blockOwnerDeletion" not in owner, "which would need rights of finalizers"
        assert each["metadata"]["namespace"] == "models"
    (claim,) = made(spec())["StatefulSet"]["spec"]["volumeClaimTemplates"]
    assert "ownerReferences" not in claim["metadata"]


def test_the_volume_is_of_the_clusters_class_unless_one_is_named_or_none():
    def claim(**storage: str) -> dict[str, Any]:
        said = spec(pod={"files": {"configMap": "holdout"}, "storage": storage})
        return made(said)["StatefulSet"]["spec"]["volumeClaimTemplates"][0]["spec"]

    assert "storageClassName" not in claim()
    assert claim(className="fast", size="5Gi")["storageClassName"] == "fast"
    assert claim(className="")["storageClassName"] == "", "one that was made by hand"


def test_a_pod_finds_what_it_needs_when_it_begins():
    assert list(made(spec())) == [kind.name for kind in KINDS if kind.name != "Service"]


def test_what_is_not_asked_for_is_not_made():
    assert "Service" not in made(spec())
    named = made(spec(pod={"files": {"configMap": "holdout"}, "serviceAccount": "mine"}))
    assert not {"ServiceAccount", "Role", "RoleBinding", "Service"} & named.keys()
    assert named["StatefulSet"]["spec"]["template"]["spec"]["serviceAccountName"] == "mine"


def test_a_changed_file_changes_the_pod_and_nothing_else_does():
    assert checksum(spec()) == checksum(spec())
    assert checksum(spec()) == checksum(spec(), image="fairtrial:2")
    assert checksum(spec()) != checksum(spec(challenger="contender"))
    assert checksum(spec()) != checksum(experiment(metrics=[{"name": "latency"}]))
    assert checksum(spec()) != checksum(spec(), files=("rows.csv", "users.py"))


def test_it_listens_where_its_service_points():
    said = spec(listen=LISTENING)
    said["pod"]["listenToken"] = {"secret": "wine-listener", "key": "secret"}
    service, labels = made(said)["Service"]["spec"], pod(said)["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    (port,) = service["ports"]
    assert port["targetPort"] == container(said)["ports"][0]["name"]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container(said).keys()
    (token,) = [each for each in container(said)["env"] if each["name"] == "TOKEN"]
    assert token["valueFrom"]["secretKeyRef"] == {"name": "wine-listener", "key": "secret"}
    assert not {"ports", "startupProbe", "livenessProbe", "readinessProbe"} & container(spec()).keys()


def test_a_variable_of_ours_that_somebody_sets_is_there_once():
    said = spec(pod={"files": {"configMap": "holdout"}, "env": [{"name": "HOME", "value": "/home"}]})
    env = container(said)["env"]
    assert [each["value"] for each in env if each["name"] == "HOME"] == ["/home"]
    assert {"name": "FAIRTRIAL_PIPELINE", "value": "models/wine"} in env


def test_what_is_said_of_a_pod_is_said_as_it_is():
    beside: dict[str, Any] = {
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "important",
        "imagePullSecrets": [{"name": "pull"}],
    }
    resources = {"limits": {"memory": "8Gi"}}
    said = spec(pod={"files": {"configMap": "holdout"}, "resources": resources, "image": "mine:1", **beside})
    assert pod(said, image="mine:1")["spec"].items() >= beside.items()
    assert container(said)["resources"] == resources
    assert not beside.keys() & pod(spec())["spec"].keys()


def test_a_pod_may_write_the_status_of_its_own_resource_alone():
    (own,) = [each for each in made(spec())["Role"]["rules"] if "fairtrial.dev" in each["apiGroups"]]
    assert own == {
        "apiGroups": ["fairtrial.dev"],
        "resources": ["pipelines/status"],
        "verbs": ["patch"],
        "resourceNames": ["wine"],
    }


def test_rights_of_a_route_are_given_where_it_is_used():
    def groups(route: str) -> set[str]:
        found = made(spec(serve={"kubernetes": {"route": route}}))["Role"]["rules"]
        return {group for each in found for group in each["apiGroups"]}

    assert groups("istio") - groups("none") == {"networking.istio.io"}
    assert groups("gateway-api") - groups("none") == {"gateway.networking.k8s.io"}
