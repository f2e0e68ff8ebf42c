"""What our rules say is refused by Kubernetes, by its API or the CRD, a real API server refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cluster.client import Client, RefusedError
from fairtrial_graphs.seldon.rules import LONGEST_NAME, check
from fairtrial_graphs.seldon.types import SeldonDeployment

pytestmark = pytest.mark.heavy

Manifest = dict[str, Any]

NAMES = (
    "v1", "a", "1", "1a", "a-b", "A", "a_b", "a.b", "-a", "a-", "a b", "ä", "", "../a",
    "a" * LONGEST_NAME, "a" * (LONGEST_NAME + 1),
)  # fmt: skip


def seldon_deployment(name: str = "d", predictor: str = "p", node: str = "n") -> Manifest:
    graph = {"name": node, "implementation": "SKLEARN_SERVER", "modelUri": "s3://b/m", "type": "MODEL"}
    return {
        "apiVersion": "machinelearning.seldon.io/v1",
        "kind": "SeldonDeployment",
        "metadata": {"name": name},
        "spec": {"predictors": [{"name": predictor, "graph": graph}]},
    }


def service(name: str) -> Manifest:
    spec = {"ports": [{"port": 8000}], "selector": {"seldon-app": name}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def deployment(container: str) -> Manifest:
    labels = {"app": "d"}
    pod = {"containers": [{"name": container, "image": "example.org/a:1"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


def by_deployment(name: str) -> list[Manifest]:
    return [seldon_deployment(name=name), service(shortened(f"{name}-p"))]


def by_predictor(name: str) -> list[Manifest]:
    return [seldon_deployment(predictor=name), service(shortened(f"d-{name}"))]


def by_node(name: str) -> list[Manifest]:
    return [seldon_deployment(node=name), deployment(name), service(shortened(f"d-p-{name}"))]


def shortened(name: str) -> str:
    """As Seldon Core does, a hash for what is too long."""
    return name if len(name) <= LONGEST_NAME else "seldon-0123456789abcdef0123456789abcdef"


def takes(client: Client, namespace: str, manifest: Manifest) -> bool:
    try:
        client.create(manifest, namespace=namespace, dry_run=True)
    except RefusedError as error:
        if error.reason not in ("Invalid", "BadRequest"):  # the manifest is not at fault
            raise
        return False
    return True


def refused(manifest: Manifest) -> bool:
    return any(finding.refused for finding in check(SeldonDeployment.model_validate(manifest)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("made", [by_deployment, by_predictor, by_node])
def test_a_name_is_refused_where_what_seldon_makes_of_it_is(
    seldon: Client, namespace: str, made: Callable[[str], list[Manifest]], name: str
):
    manifests = made(name)
    if made is by_predictor and name == "-a":
        pytest.skip("it is refused by Istio, whose subsets are called as predictors are")
    assert refused(manifests[0]) != all(takes(seldon, namespace, each) for each in manifests)


@pytest.mark.parametrize("levels", [10, 11, 12, 13])
def test_a_graph_is_as_deep_as_the_crd_lets_it_be(seldon: Client, namespace: str, levels: int):
    manifest = seldon_deployment()
    node = manifest["spec"]["predictors"][0]["graph"]
    for level in range(1, levels):
        node["children"] = [{**node, "name": f"n{level}"}]
        node = node["children"][0]
    assert refused(manifest) != takes(seldon, namespace, manifest)


@pytest.mark.parametrize("cpu", [1, "1", "0.5", 0.5])
def test_a_quantity_is_refused_where_the_crd_refuses_it(seldon: Client, namespace: str, cpu: object):
    manifest = seldon_deployment()
    container = {"name": "n", "resources": {"requests": {"cpu": cpu}}}
    manifest["spec"]["predictors"][0]["componentSpecs"] = [{"spec": {"containers": [container]}}]
    assert refused(manifest) != takes(seldon, namespace, manifest)


def test_what_has_no_predictors_is_refused(seldon: Client, namespace: str):
    manifest = seldon_deployment()
    del manifest["spec"]["predictors"]
    assert not takes(seldon, namespace, manifest)


@pytest.mark.parametrize("traffic", ["50", 50.5, None, True])
def test_traffic_that_is_no_whole_number_is_refused_by_both(seldon: Client, namespace: str, traffic: object):
    manifest = seldon_deployment()
    manifest["spec"]["predictors"][0]["traffic"] = traffic
    try:
        SeldonDeployment.model_validate(manifest)
        taken = True
    except ValueError:
        taken = False
    assert takes(seldon, namespace, manifest) == taken
