"""Core 2: what a deployment becomes, what has no counterpart, and what its scheduler would refuse."""

from __future__ import annotations

import pytest
from fairtrial_graphs.backends.interface import Route, Sticky, Unsupported
from fairtrial_graphs.build import Arm, Shadow, build
from fairtrial_graphs.core2.build import core2_of
from fairtrial_graphs.core2.rules import check
from fairtrial_graphs.core2.text import parse, render
from fairtrial_graphs.problems import ManifestError
from fairtrial_graphs.seldon.text import parse as parse_deployment
from graphs.written import FOLDER, plain

V1, V2, V3 = (Arm(name, f"s3://b/{name}", "SKLEARN_SERVER") for name in ("v1", "v2", "v3"))
ROUTE = Route("step-1")

BY_HAND = """
# An experiment as in Seldon's documentation, with fields that Fairtrial never looks at.
apiVersion: mlops.seldon.io/v1alpha1
kind: Model
metadata: {name: iris}
spec: {storageUri: "gs://models/iris", requirements: [sklearn], memory: 100Ki, llm: {modelRef: x}}
---
apiVersion: v1
kind: Secret
---
apiVersion: mlops.seldon.io/v1alpha1
kind: Model
metadata: {name: iris2}
spec: {storageUri: "gs://models/iris2", requirements: [sklearn], dataflow: {cleanTopicsOnDelete: true}}
---
apiVersion: mlops.seldon.io/v1alpha1
kind: Experiment
metadata: {name: iris-ab}
spec:
  default: iris
  candidates: [{name: iris, weight: 50}, {name: iris2, weight: 50}]
---
apiVersion: mlops.seldon.io/v1alpha1
kind: Pipeline
metadata: {name: join}
spec:
  steps:
  - name: iris
  - {name: iris2, inputs: [iris.outputs.predict], tensorMap: {iris.outputs.predict: INPUT0}, joinWindowMs: 5}
  output: {steps: [iris2], stepsJoin: any}
"""


def test_a_canary_with_a_shadow_is_an_experiment_over_models():
    deployment = build("wine", [V1, V2], {"v1": 90, "v2": 10}, shadow=Shadow(V3, 20), namespace="ml")
    core2 = core2_of(deployment, ROUTE)
    assert core2.notes == ()
    *models, experiment = [resource.to_dict() for resource in core2.resources]
    assert [(model["metadata"], model["spec"]) for model in models] == [
        (
            {"name": f"wine-{name}", "namespace": "ml"},
            {"storageUri": f"s3://b/{name}", "requirements": ["sklearn"]},
        )
        for name in ("v1", "v2", "v3")
    ]
    assert experiment["spec"] == {
        "default": "wine-v1",
        "candidates": [{"name": "wine-v1", "weight": 90}, {"name": "wine-v2", "weight": 10}],
        "mirror": {"name": "wine-v3", "percent": 20},
    }
    assert check(core2.resources) == ()
    assert parse(render(core2.resources)) == core2.resources


def test_an_arm_alone_needs_no_experiment():
    (model,) = core2_of(build("wine", [V1]), ROUTE).resources
    assert (model.kind, model.metadata.name) == ("Model", "wine-v1")


def test_chains_and_combiners_are_pipelines_which_an_experiment_splits():
    def node(name: str, more: str) -> str:
        return f"{{name: {name}, implementation: MLFLOW_SERVER, modelUri: gs://{name}, {more}}}"

    leaves = f"[{node('a', 'type: MODEL')}, {node('b', 'type: MODEL')}]"
    combined = node(
        "scale", f"type: TRANSFORMER, children: [{node('vote', f'type: COMBINER, children: {leaves}')}]"
    )
    last = node("out", f"type: OUTPUT_TRANSFORMER, children: [{node('m', 'type: MODEL')}]")
    deployment = parse_deployment(f"""
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
metadata: {{name: d}}
spec:
  protocol: v2
  predictors: [{{name: p, traffic: 70, graph: {combined}}}, {{name: q, traffic: 30, graph: {last}}}]
""")
    core2 = core2_of(deployment, ROUTE)
    assert check(core2.resources) == ()
    first, second, experiment = [resource.to_dict()["spec"] for resource in core2.resources[-3:]]
    assert first == {
        "steps": [
            {"name": "d-p-scale"},
            {"name": "d-p-a", "inputs": ["d-p-scale"]},
            {"name": "d-p-b", "inputs": ["d-p-scale"]},
            {"name": "d-p-vote", "inputs": ["d-p-a", "d-p-b"], "inputsJoinType": "inner"},
        ],
        "output": {"steps": ["d-p-vote"]},
    }
    assert second["steps"] == [{"name": "d-q-m"}, {"name": "d-q-out", "inputs": ["d-q-m"]}]
    assert experiment["resourceType"] == "pipeline"


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("bandit.json", "spec.predictors.0.graph.type: Core 2 has no routers"),
        ("random-ab-test.yaml", "Core 2 has no routers"),
        ("average-combiner.yaml", "AVERAGE_COMBINER is part of Seldon Core 1's executor only"),
        ("custom-image.yaml", "Core 2 runs models on shared servers, not containers"),
        ("tensorflow.yaml", "spec.protocol: Core 2 speaks v2 only"),
        ("kafka-grpc.yaml", "spec.serverType"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_the_name_of_its_field(file: str, sentence: str):
    with pytest.raises(Unsupported) as error:
        core2_of(parse_deployment((FOLDER / file).read_text(encoding="utf-8")), ROUTE)
    assert sentence in str(error.value)


def test_stickiness_that_core_2_does_not_have_is_told():
    deployment = build("wine", [V1, V2], {"v1": 50, "v2": 50})
    (note,) = core2_of(deployment, Route("step-1", Sticky("x-user"))).notes
    assert "x-seldon-route" in note


def test_resources_by_hand_are_written_back_with_nothing_lost():
    resources = parse(BY_HAND)
    assert [resource.to_dict() for resource in resources] == [
        document for document in plain(BY_HAND) if document["kind"] != "Secret"
    ]
    assert check(resources) == ()
    assert parse(render(resources)) == resources


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("default: iris\n", "default: other\n"), "spec.default: other must be one of the candidates"),
        (("name: iris2, weight: 50", "name: iris, weight: 50"), "iris is named twice"),
        (("name: iris2, weight: 50", "name: gone, weight: 50"), "there is no Model called gone"),
        (
            ("weight: 50}, {name: iris2, weight: 50", "weight: 0}, {name: iris2, weight: 0"),
            "no candidate has any",
        ),
        (
            ("- name: iris\n", "- {name: iris, inputs: [iris2]}\n"),
            "iris waits for iris2 waits for iris; break",
        ),
        (("inputs: [iris.outputs.predict]", "inputs: [iris3]"), "iris3 comes from no step"),
        (("steps: [iris2], steps", "steps: [x], steps"), "spec.output.steps: x comes from no step"),
        (("{name: iris-ab}", "{name: Iris}"), 'Experiment Iris metadata.name: "Iris" must be small letters'),
    ],
)
def test_what_the_scheduler_would_refuse_is_told(change: tuple[str, str], sentence: str):
    assert change[0] in BY_HAND
    assert any(sentence in told for told in check(parse(BY_HAND.replace(*change))))


def test_mistakes_of_all_documents_are_told_at_once_with_their_places():
    wrong = BY_HAND.replace("weight: 50}, {", 'weight: "50"}, {').replace(
        'storageUri: "gs://models/iris"', "x: y"
    )
    with pytest.raises(ManifestError) as error:
        parse(wrong, source="m.yaml")
    assert [str(problem).partition(": ")[0] for problem in error.value.problems] == [
        "m.yaml:6:7 spec.storageUri",
        "m.yaml:21:37 spec.candidates.0.weight",
    ]
