"""What the charts render is taken by a real API server that knows every field; wrong values are refused."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.client import Client, Object, RefusedError
from cluster.helm import CHARTS, ChartError, Helm
from fairtrial.cli.group import VERBS

pytestmark = pytest.mark.heavy

#: Each chart with each file in its folder `ci`, and as installed with nothing said, where it says enough.
CASES = [
    (chart.name, values)
    for chart in sorted(each.parent for each in CHARTS.glob("*/Chart.yaml"))
    for values in (*((None,) if chart.name == "fairtrial" else ()), *sorted(chart.glob("ci/*.yaml")))
]
NAMES = [f"{chart}-{values.stem if values else 'default'}" for chart, values in CASES]


def values_of(path: Path | None) -> tuple[str, ...]:
    return ("--values", str(path)) if path else ()


def pods(objects: list[Object]) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in objects:
        if each["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield f"{each['kind']} {each['metadata']['name']}", each["spec"]["template"]["spec"]


@pytest.mark.parametrize(("chart", "values"), CASES, ids=NAMES)
def test_nothing_is_to_be_complained_of(helm: Helm, chart: str, values: Path | None):
    helm.lint(chart, *values_of(values))


@pytest.mark.parametrize(("chart", "values"), CASES, ids=NAMES)
def test_every_object_is_taken(helm: Helm, api: Client, namespace: str, chart: str, values: Path | None):
    api.install([service_monitors()])
    objects = helm.template(chart, *values_of(values), namespace=namespace)
    assert objects
    refused: list[str] = []
    for each in objects:
        elsewhere = each["metadata"].get("namespace", namespace)
        if elsewhere != namespace:
            api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": elsewhere}})
        try:
            api.apply(each, namespace=elsewhere, dry_run=True)
        except RefusedError as error:
            refused.append(f"{each['kind']} {each['metadata']['name']}: {error}")
    assert refused == []


@pytest.mark.parametrize("chart", sorted({chart for chart, _ in CASES}))
def test_its_definitions_are_taken(api: Client, chart: str):
    for path in (CHARTS / chart).glob("crds/*.yaml"):
        api.apply(yaml.safe_load(path.read_text()), dry_run=True)


def service_monitors() -> dict[str, Any]:
    """The Prometheus operator's kind, as far as the chart writes it: any spec."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": "ServiceMonitor", "plural": "servicemonitors", "singular": "servicemonitor"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


@pytest.mark.parametrize(("chart", "values"), CASES, ids=NAMES)
def test_no_container_is_root_or_can_write_its_image(helm: Helm, chart: str, values: Path | None):
    for name, pod in pods(helm.template(chart, *values_of(values))):
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            may = container["securityContext"]
            assert may["readOnlyRootFilesystem"] is True, name
            assert may["allowPrivilegeEscalation"] is False, name
            assert may["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name
            assert "memory" in container["resources"]["limits"], name


@pytest.mark.parametrize(("chart", "values"), CASES, ids=NAMES)
def test_containers_are_told_what_the_command_line_knows(helm: Helm, chart: str, values: Path | None):
    told = [
        container["args"]
        for _, pod in pods(helm.template(chart, *values_of(values)))
        for container in pod["containers"]
    ]
    missing = {verb for verb, *_ in told} - VERBS.keys()
    if missing:
        pytest.skip(f"not there yet: {', '.join(sorted(missing))}")
    for verb, *arguments in told:
        command = importlib.import_module(f"fairtrial.cli.{verb.replace('-', '_')}").command
        command.make_context(verb, arguments)


def test_pods_of_several_replicas_can_be_drained_one_by_one(helm: Helm):
    objects = helm.template("fairtrial", "--values", str(CHARTS / "fairtrial/ci/large.yaml"))
    budgets = {each["metadata"]["name"]: each for each in objects if each["kind"] == "PodDisruptionBudget"}
    deployments = {each["metadata"]["name"]: each for each in objects if each["kind"] == "Deployment"}
    assert budgets.keys() == deployments.keys() == {"trial-fairtrial-operator", "trial-fairtrial-collector"}
    for name, deployment in deployments.items():
        selector = deployment["spec"]["selector"]["matchLabels"]
        assert budgets[name]["spec"]["selector"]["matchLabels"] == selector
        assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_services_monitors_and_policies_find_their_pods(helm: Helm):
    objects = helm.template("fairtrial", "--values", str(CHARTS / "fairtrial/ci/large.yaml"))
    labels = [
        each["spec"]["template"]["metadata"]["labels"] for each in objects if each["kind"] == "Deployment"
    ]
    services = [each for each in objects if each["kind"] == "Service"]
    selectors = [each["spec"]["selector"] for each in services]
    selectors += [
        each["spec"]["podSelector"]["matchLabels"] for each in objects if each["kind"] == "NetworkPolicy"
    ]
    assert len(selectors) == 4
    for selector in selectors:
        assert sum(selector.items() <= each.items() for each in labels) == 1
    for monitor in (each for each in objects if each["kind"] == "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        assert sum(wanted <= each["metadata"]["labels"].items() for each in services) == 1
        assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_a_password_is_no_argument(helm: Helm):
    objects = helm.template("fairtrial", values={"collector": {"database": {"secretName": "evidence"}}})
    [container] = dict(pods(objects))["Deployment trial-fairtrial-collector"]["containers"]
    [store] = [each for each in container["env"] if each["name"] == "FAIRTRIAL_STORE"]
    assert store["valueFrom"] == {"secretKeyRef": {"name": "evidence", "key": "url"}}
    assert "FAIRTRIAL_STORE" not in str(container["args"])


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"operator": {"replica": 2}}, "replica"),
    ({"operator": {"replicas": "two"}}, "replicas"),
    ({"operator": {"replicas": -1}}, "replicas"),
    ({"operator": {"route": "ambassador"}}, "route"),
    ({"operator": {"gateway": "a b"}}, "gateway"),
    ({"operator": {"resources": {"limits": {"memory": "1 gigabyte"}}}}, "memory"),
    ({"watchNamespaces": ["Team A"]}, "watchNamespaces"),
    ({"watchNamespaces": ["a", "a"]}, "watchNamespaces"),
    ({"collector": {"port": 80}}, "port"),
    ({"collector": {"persistence": {"size": "10GB"}}}, "size"),
    ({"image": {"registry": "https://registry.example"}}, "registry"),
    ({"image": {"digest": "sha256:12"}}, "digest"),
    ({"serviceMonitor": {"interval": "often"}}, "interval"),
    ({"unknown": 1}, "unknown"),
    ({"collector": {"replicas": 2}}, "SQLite cannot serve"),
]


@pytest.mark.parametrize(("values", "said"), WRONG, ids=[str(values) for values, _ in WRONG])
def test_wrong_values_are_refused_with_their_name(helm: Helm, values: dict[str, Any], said: str):
    with pytest.raises(ChartError) as refused:
        helm.template("fairtrial", values=values)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "say what is tried"),
        ({"experiment": "a", "experimentConfigMap": "b"}, "say what is tried"),
        ({"experiment": "a", "data": {"existingClaim": "b", "volume": {"emptyDir": {}}}}, "say one of them"),
        ({"experiment": "a", "workers": {"count": 0}}, "count"),
        ({"experiment": "a", "run": {"route": "ambassador"}}, "route"),
    ],
)
def test_a_run_that_cannot_be_is_refused(helm: Helm, values: dict[str, Any], said: str):
    with pytest.raises(ChartError) as refused:
        helm.template("locust", values=values)
    assert said in str(refused.value)


def test_workers_reach_who_leads_and_know_its_token(helm: Helm):
    objects = helm.template("locust", "--values", str(CHARTS / "locust/ci/text.yaml"), namespace="team-a")
    [service] = [each for each in objects if each["kind"] == "Service"]
    [secret] = [each for each in objects if each["kind"] == "Secret"]
    [run, workers] = [
        dict(pods(objects))[f"Job trial-1-{part}"]["containers"][0] for part in ("run", "workers")
    ]
    [port] = service["spec"]["ports"]
    assert f"--master={service['metadata']['name']}.team-a.svc:{port['port']}" in workers["args"]
    assert f"--bind=0.0.0.0:{run['ports'][0]['containerPort']}" in run["args"]
    assert "--expect-workers=2" in run["args"]
    for container in (run, workers):
        [token] = [each for each in container["env"] if each["name"] == "FAIRTRIAL_LOAD_TOKEN"]
        assert token["valueFrom"]["secretKeyRef"] == {"name": secret["metadata"]["name"], "key": "token"}
    assert len(secret["stringData"]["token"]) == 40


def test_every_value_is_in_the_schema_and_has_a_default():
    for chart in CHARTS.glob("*/values.schema.json"):
        schema = yaml.safe_load(chart.read_text())
        values = yaml.safe_load((chart.parent / "values.yaml").read_text())
        assert values.keys() == schema["properties"].keys() - {"global"}, chart
        for name, value in values.items():
            if isinstance(value, dict) and "properties" in schema["properties"][name]:
                assert value.keys() == schema["properties"][name]["properties"].keys(), f"{chart}: {name}"
