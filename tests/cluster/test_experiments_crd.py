"""A real API server takes the definition of experiments, and holds them to it as the file's reader would."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster.client import Client, RefusedError
from fairtrial.experiment.crd import crd
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.problems import ExperimentFileError
from fairtrial.experiment.reading import load
from fairtrial.experiment.standing import Standing
from ruamel.yaml import YAML

pytestmark = pytest.mark.heavy

Manifest = dict[str, Any]
REPOSITORY = Path(__file__).parents[2]
KIND = ("fairtrial.dev/v1alpha1", "Experiment")

FULL: Manifest = {
    "apiVersion": "fairtrial.dev/v1alpha1",
    "kind": "Experiment",
    "metadata": {"name": "wine"},
    "spec": {
        "baseline": {"name": "v1", "modelUri": "s3://models/v1", "format": "sklearn"},
        "candidates": [
            {
                "name": "v2",
                "modelUri": "s3://models/v2",
                "parameters": {"method": "predict_proba", "threads": 2, "share": 0.5, "fast": True},
            }
        ],
        "strategy": {"canary": {"steps": [{"setWeight": 10}, {"setWeight": "50%", "pause": "1m30s"}]}},
        "traffic": {"loadTest": {"arrivalRate": "100/s", "splitShare": 0.1, "maxDuration": "2m"}},
        "sticky": {"header": "x-user"},
        "metrics": [
            {"name": "accuracy", "minEffect": "1pp"},
            {"name": "latency", "quantile": 0.99, "maxRegression": "10%"},
            {"name": "errorRate", "maxRegression": 0.005},
        ],
        "analysis": {"falsePositiveRate": "5%", "power": 0.8, "warmUp": "auto"},
        "abort": {"errorRate": 0.5},
    },
}  # fmt: skip


@pytest.fixture(scope="session")
def experiments(api: Client) -> Client:
    api.install([crd()])
    return api


def changed(path: str, value: object) -> Manifest:
    """The full manifest with one field changed; `...` removes it."""
    manifest = copy.deepcopy(FULL)
    *above, last = path.split(".")
    at: Any = manifest
    for step in above:
        at = at[int(step)] if step.isdigit() else at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return manifest


def fields(schema: Manifest) -> Iterator[Manifest]:
    for each in schema.get("properties", {}).values():
        yield each
        yield from fields(each)
        yield from fields(each.get("items", {}))


def refusal(client: Client, namespace: str, manifest: Manifest) -> str | None:
    """What the API server says no with; None where it says yes."""
    try:
        client.create(manifest, namespace=namespace, dry_run=True)
    except RefusedError as error:
        if error.reason not in ("Invalid", "BadRequest"):  # the manifest is not at fault
            raise
        return str(error)
    return None


def test_it_is_structural_and_its_names_are_taken(experiments: Client):
    found = experiments.get(
        "apiextensions.k8s.io/v1", "CustomResourceDefinition", "experiments.fairtrial.dev"
    )
    assert found is not None
    conditions = {each["type"]: each for each in found["status"]["conditions"]}
    assert "NonStructuralSchema" not in conditions
    assert conditions["NamesAccepted"]["status"] == "True"


def test_what_is_stored_is_what_was_written(experiments: Client, namespace: str):
    Experiment.model_validate(FULL)
    experiments.create(FULL, namespace=namespace)
    stored = experiments.get(*KIND, "wine", namespace=namespace)
    assert stored is not None
    assert stored["spec"] == FULL["spec"]


@pytest.mark.parametrize("project", ["better", "same", "slower", "worse"])
def test_the_examples_are_taken(experiments: Client, namespace: str, project: str):
    file = REPOSITORY / "experiments" / "fairtrial" / "projects" / project / "experiment.yaml"
    manifest = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    assert refusal(experiments, namespace, manifest) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.baseline", ...),
        ("spec.candidates", []),
        ("spec.candidates", ...),
        ("spec.metrics", ...),
        ("spec.metrics.0.quantlie", 0.9),
        ("spec.metrics.1.quantile", 1),
        ("spec.metrics.1.quantile", "0.99"),
        ("spec.metrics.0.minEffect", "1 percent"),
        ("spec.metrics.0.minEffect", -1),
        ("spec.metrics.0.minEffect", {"value": 1}),
        ("spec.metrics.0.minEffect", [1]),
        ("spec.metrics.0.minEffect", True),
        ("spec.metrics.0.role", "hope"),
        ("spec.strategy", {}),
        ("spec.strategy.abTest", {"weight": 50}),
        ("spec.strategy.canary", {}),
        ("spec.strategy.canary.stepWeight", 10),
        ("spec.strategy.canary.steps.0.setWeight", 0),
        ("spec.strategy.canary.steps.0.setWeight", 10.5),
        ("spec.strategy.canary.steps.0.setWeight", "half"),
        ("spec.sticky.key", "k"),
        ("spec.traffic.loadTest.arrivalRate", "100"),
        ("spec.traffic.loadTest.arrivalRate", 100),
        ("spec.traffic.loadTest.maxDuration", "2 minutes"),
        ("spec.traffic.loadTest.splitShare", 1.5),
        ("spec.traffic.loadTest.splitShare", "10"),
        ("spec.analysis.warmUp", "automatic"),
        ("spec.analysis.falsePositiveRate", True),
        ("spec.baseline.name", "V1"),
        ("spec.candidates.0.parameters.threads", {"a": 1}),
        ("metadata.name", "wine.v2"),
        ("metadata.name", "w" * 64),
    ],
)
def test_what_the_reader_refuses_of_one_field_the_api_server_refuses(
    experiments: Client, namespace: str, path: str, value: object, tmp_path: Path
):
    manifest = changed(path, value)
    file = tmp_path / "experiment.yaml"
    YAML(typ="safe").dump(manifest, file)
    with pytest.raises(ExperimentFileError):
        load(file, check_files=False)
    assert refusal(experiments, namespace, manifest) is not None


def test_a_choice_of_one_is_refused_in_words(experiments: Client, namespace: str):
    said = refusal(experiments, namespace, changed("spec.strategy.shadow", {"percent": 10}))
    assert said is not None
    assert "spec.strategy: Invalid value" in said
    assert "say exactly one of canary, abTest, shadow, blueGreen, bandit" in said


@pytest.mark.parametrize("weight", [10, "10%"])
@pytest.mark.parametrize("margin", [0, 0.01, "1pp", "1%"])
def test_a_quantity_is_taken_however_the_file_may_say_it(
    experiments: Client, namespace: str, weight: object, margin: object
):
    manifest = changed("spec.strategy.canary.steps.0.setWeight", weight)
    manifest["spec"]["metrics"][0]["minEffect"] = margin
    Experiment.model_validate(manifest)
    assert refusal(experiments, namespace, manifest) is None


def test_the_status_is_written_apart_from_the_spec_and_held_to_its_model(experiments: Client, namespace: str):
    experiments.create(FULL, namespace=namespace)
    standing = Standing.model_validate(
        {
            "phase": "Running",
            "step": "1/2",
            "weights": {"v1": 90, "v2": 10},
            "split": "v1 90, v2 10",
            "verdict": {"verdict": "CONTINUE", "look": 3},
            "conditions": [
                {
                    "type": "Accepted",
                    "status": "True",
                    "reason": "Runnable",
                    "lastTransitionTime": "2026-11-28T13:00:00Z",
                }
            ],
            "journal": [{"seq": 1, "kind": "started", "body": {"any": ["thing"]}}],
        }
    )
    status = standing.model_dump(mode="json", exclude_none=True)
    experiments.patch(*KIND, "wine", {"status": status}, namespace=namespace, subresource="status")
    stored = experiments.get(*KIND, "wine", namespace=namespace)
    assert stored is not None
    assert stored["status"] == status
    assert stored["spec"] == FULL["spec"]
    assert stored["metadata"]["generation"] == 1
    change = {"status": {"phase": "Confused"}}
    with pytest.raises(RefusedError, match="Unsupported value"):
        experiments.patch(*KIND, "wine", change, namespace=namespace, subresource="status")


def test_kubectl_get_shows_how_an_experiment_stands(experiments: Client, namespace: str):
    experiments.create(FULL, namespace=namespace)
    change = {"status": {"phase": "Running", "step": "1/2", "split": "v1 90, v2 10",
                         "verdict": {"verdict": "CONTINUE"}}}  # fmt: skip
    experiments.patch(*KIND, "wine", change, namespace=namespace, subresource="status")
    table = experiments.table(*KIND, namespace=namespace)
    names = [column["name"] for column in table["columnDefinitions"]]
    (row,) = table["rows"]
    assert dict(zip(names, row["cells"], strict=True)) | {"Age": "..."} == {
        "Name": "wine",
        "Phase": "Running",
        "Step": "1/2",
        "Verdict": "CONTINUE",
        "Weights": "v1 90, v2 10",
        "Age": "...",
    }


def test_kubectl_explain_has_words_for_every_field(experiments: Client):
    """What `kubectl explain` reads is the server's OpenAPI."""
    published = experiments.openapi("apis/fairtrial.dev/v1alpha1")
    (schema,) = (
        each for name, each in published["components"]["schemas"].items() if name.endswith(".Experiment")
    )
    found = [*fields(schema["properties"]["spec"]), *fields(schema["properties"]["status"])]
    assert len(found) > 100
    assert all(each.get("description") for each in found)
    metric = schema["properties"]["spec"]["properties"]["metrics"]["items"]["properties"]
    assert "1pp (percentage points)" in metric["minEffect"]["description"]
