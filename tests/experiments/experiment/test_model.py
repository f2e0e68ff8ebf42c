"""Short files work, and what they leave out is filled in as documented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fairtrial.experiment.defaults import filled_in
from fairtrial.experiment.metrics import FAMILIES, Metric
from fairtrial.experiment.model import API_VERSION, KIND, Experiment
from fairtrial.experiment.quantities import Margin
from fairtrial.experiment.reading import load, parse

SHORT = f"""
apiVersion: {API_VERSION}
kind: {KIND}
spec:
  baseline: {{modelUri: models/v1}}
  candidates: [{{modelUri: models/v2}}]
  metrics: [{{name: accuracy}}]
"""


def read(text: str) -> Experiment:
    return parse(text.encode(), source="experiment.yaml", folder=Path("/x"), check_files=False)


def with_metric(**fields: Any) -> Metric:
    return Metric.model_validate(fields, by_alias=True, by_name=False)


def test_two_models_and_one_metric_are_enough() -> None:
    spec = read(SHORT).spec
    assert (spec.baseline.name, spec.candidates[0].name) == ("baseline", "candidate")
    assert spec.strategy.ab_test is not None
    assert spec.strategy.ab_test.weight is None  # equal shares
    load_test = spec.traffic.load_test
    assert (load_test.arrival_rate, load_test.max_duration, load_test.split_share) == (100.0, 120.0, 0.1)
    assert (load_test.requests.data, load_test.requests.target) == ("holdout.parquet", "target")
    assert (spec.analysis.false_positive_rate, spec.analysis.power) == (0.05, 0.8)
    assert spec.on_inconclusive == "rollback"


def test_the_design_pages_example_is_read() -> None:
    spec = read(
        SHORT.replace("[{name: accuracy}]", "")
        + """
    - {name: accuracy, role: objective, direction: increase, minEffect: 1pp}
    - {name: latency, quantile: 0.99, role: guardrail, maxRegression: 10%}
    - {name: errorRate, role: guardrail, maxRegression: 0.5pp}
  strategy: {canary: {steps: [{setWeight: 10}, {setWeight: 50}]}}
  traffic:
    loadTest: {arrivalRate: 100/s, maxDuration: 2m, requests: {data: holdout.parquet, target: quality}}
  analysis: {falsePositiveRate: 5%, power: 80%}
"""
    ).spec
    assert [m.margin for m in spec.metrics] == [Margin(0.01, "pp"), Margin(0.1, "%"), Margin(0.005, "pp")]
    assert spec.strategy.canary is not None
    assert [step.set_weight for step in spec.strategy.canary.steps] == [10, 50]
    assert spec.traffic.load_test.requests.target == "quality"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "accuracy"}, ("score", "binary", "objective", "increase")),
        ({"name": "errorRate"}, ("error", "binary", "guardrail", "decrease")),
        ({"name": "latency"}, ("latency", "mean", "guardrail", "decrease")),
        ({"name": "latency", "quantile": 0.99}, ("latency", "quantile", "guardrail", "decrease")),
        (
            {"name": "p50", "column": "latency", "quantile": 0.5},
            ("latency", "quantile", "guardrail", "decrease"),
        ),
        ({"name": "absoluteError"}, ("absoluteError", "mean", "objective", "decrease")),
        ({"name": "squaredError"}, ("squaredError", "mean", "objective", "decrease")),
        (
            {"name": "revenue", "kind": "mean", "direction": "increase"},
            ("revenue", "mean", "objective", "increase"),
        ),
        (
            {"name": "wait", "quantile": 0.9, "direction": "decrease", "role": "guardrail"},
            ("wait", "quantile", "guardrail", "decrease"),
        ),
    ],
)
def test_what_is_known_of_a_metric_need_not_be_said(
    fields: dict[str, Any], expected: tuple[str, ...]
) -> None:
    metric = with_metric(**fields)
    assert (metric.column, metric.kind, metric.role, metric.direction) == expected


def test_scored_metrics_are_those_that_need_answers() -> None:
    assert {name for name in FAMILIES if with_metric(name=name).scored} == {
        "accuracy",
        "absoluteError",
        "squaredError",
    }


def test_every_default_that_took_effect_is_listed_and_nothing_that_was_said() -> None:
    experiment = read(SHORT)
    defaults = {default.path: default.value for default in filled_in(experiment)}
    assert defaults["spec.traffic.loadTest.arrivalRate"] == "100/s"
    assert defaults["spec.metrics.0.direction"] == "increase"
    assert defaults["spec.metrics.0.minEffect"] == "0"
    assert defaults["spec.analysis.lookInterval"] == "1s"
    assert not {"spec.metrics.0.name", "spec.metrics.0.maxRegression", "spec.sticky"} & set(defaults)


def test_a_file_that_says_every_default_says_the_same(project: Path) -> None:
    experiment = load(project / "experiment.yaml")
    said = json.dumps(experiment.model_dump(mode="json", exclude_none=True))
    again = parse(said.encode(), source="again.json", folder=project)
    assert again == experiment
    assert filled_in(again) == []


def test_paths_are_relative_to_the_files_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.parent)
    experiment = load("project/experiment.yaml")
    assert experiment.spec.baseline.model_uri == "models/v1"
    assert experiment.locate("models/v1").samefile(project / "models" / "v1")
    assert experiment.locate(f"file://{project}/models/a%20b") == project / "models" / "a b"


def test_a_deployment_by_hand_needs_no_models(project: Path) -> None:
    (project / "seldon.yaml").touch()
    text = SHORT.replace("modelUri: models/v1", "name: v1").replace("modelUri: models/v2", "name: v2")
    spec = parse(
        (text + "  deployment: seldon.yaml\n").encode(), source="experiment.yaml", folder=project
    ).spec
    assert spec.deployment == "seldon.yaml"
    assert (spec.baseline.name, spec.candidates[0].name) == ("v1", "v2")


def test_quoted_numbers_of_parameters_stay_texts() -> None:
    spec = read(SHORT.replace("modelUri: models/v1", "modelUri: m, parameters: {a: '1', b: 1, c: true}")).spec
    assert spec.baseline.parameters == {"a": "1", "b": 1, "c": True}
    assert [type(value) for value in spec.baseline.parameters.values()] == [str, int, bool]
