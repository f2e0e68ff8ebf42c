"""The manifests of load workers are taken by a real API server, in a namespace of the strictest standard."""

from __future__ import annotations

import pytest
from cluster.client import Client
from fairtrial_graphs.load_jobs import LoadJob, master_service

pytestmark = pytest.mark.heavy


def test_they_are_taken_and_their_pods_too_where_standards_are_strictest(api: Client, namespace: str):
    strictest = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    api.patch("v1", "Namespace", namespace, strictest)
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "run"}}
    stored = api.create(config, namespace=namespace)
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "run", "uid": stored["metadata"]["uid"]}
    job = LoadJob(
        name=f"wine-{'long' * 20}",
        image="registry.example/fairtrial/loadtests:1",
        workers=3,
        master="10.0.0.7:5557",
        longest=120.0,
        labels={"team": "a"},
        owner=owner,
        pull_secrets=("registry",),
    )
    service = master_service(job, 5557, {"app.kubernetes.io/name": "fairtrial-operator"})
    for manifest in (*job.manifests("open sesame"), service):
        taken = api.apply(manifest, namespace=namespace, dry_run=True)
        assert taken["metadata"]["ownerReferences"][0]["uid"] == owner["uid"]
    # A Job is taken whatever its pods are; so one of them is put to the server, too. The account that pods
    # get of themselves is made by a controller that does not run here.
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    api.create(account, namespace=namespace)
    template = job.job()["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"] = {**template["metadata"], "name": "one"}
    taken = api.create(pod, namespace=namespace, dry_run=True)
    assert taken["spec"]["containers"][0]["args"] == ["--master", "10.0.0.7:5557", "--name", "$(POD_NAME)"]
