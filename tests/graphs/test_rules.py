"""Each rule on a manifest that breaks it, and on ones that break none."""

import pytest
from fairtrial_graphs.build import Arm, Shadow, build
from fairtrial_graphs.seldon.rules import check
from fairtrial_graphs.seldon.text import parse


def manifest(predictors: str, name: str = "d") -> str:
    return f"""
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
metadata: {{name: {name}}}
spec: {{protocol: v2, predictors: [{predictors}]}}
"""


def predictor(name: str, more: str = "", graph: str = "", node: str | None = None) -> str:
    graph = graph or "implementation: SKLEARN_SERVER, modelUri: gs://x"
    return f"{{name: {name}, graph: {{name: {node or name}, {graph}}}{', ' if more else ''}{more}}}"


LONG = "a" * 30
CONTAINER = "componentSpecs: [{spec: {containers: [{name: p, env: [{name: %s, value: x}]}]}}]"

REFUSED = [
    (predictor("A_b"), 'spec.predictors.0.name: "A_b" becomes part of Kubernetes names'),
    (predictor("a", node="../m"), 'spec.predictors.0.graph.name: "../m" becomes part of Kubernetes names'),
    ("", "spec.predictors: there is no predictor"),
    (
        f"{predictor('a', 'traffic: 50')}, {predictor('a', 'traffic: 50', node='b')}",
        'spec.predictors.1.name: "a" is already the name of spec.predictors.0',
    ),
    (
        f"{predictor('a', 'traffic: 90')}, {predictor('b', 'traffic: 20')}",
        "spec.predictors: traffic over all predictors but shadows must sum to 100; 90 (a) + 20 (b) is 110",
    ),
    (f"{predictor('a')}, {predictor('b')}", "0 (a) + 0 (b) is 0"),
    (predictor("a", "traffic: 60"), "spec.predictors.0.traffic: the only predictor has traffic 100 or none"),
    (predictor("a", node="n" * 64), "spec.predictors.0.graph.name: the container would be called"),
    (
        f"{predictor('a', 'traffic: 140')}, {predictor('b', 'traffic: -40')}",
        "spec.predictors.1.traffic: traffic is a percentage from 0 to 100, not -40",
    ),
    (
        f"{predictor('a')}, {predictor('s', 'shadow: true')}, {predictor('t', 'shadow: true')}",
        "spec.predictors: at most one predictor is a shadow; s and t are",
    ),
    (predictor("s", "shadow: true"), "spec.predictors: a shadow mirrors the traffic of another predictor"),
    (predictor("a", graph="type: MODEL"), 'spec.predictors.0.graph.implementation: node "a" has neither'),
    (
        predictor("a", graph="implementation: SIMPLE_ROUTER, children: [{name: b, type: MODEL}]"),
        'spec.predictors.0.graph.children.0.implementation: node "b" has neither',
    ),
    (predictor("a", graph="implementation: SKLEARN_SERVER"), "runs SKLEARN_SERVER, which needs a modelUri"),
    (
        predictor("a", graph="implementation: SKLEARN_SERVER, modelUri: x, logger: {url: http://x}"),
        "spec.predictors.0.graph.logger.mode: say which messages to log",
    ),
]

ACCEPTED_BUT_LOSSY = [
    (
        f"{predictor('a', 'traffic: 40')}, {predictor('s', 'shadow: true, traffic: 10')}",
        "spec.predictors.0.traffic: the only predictor has traffic 100 or none",
    ),
    (
        f"{predictor('a', 'traffic: 50', node='m')}, {predictor('b', 'traffic: 50', node='m')}",
        'spec.predictors.1.graph.name: "m" is also the name of spec.predictors.0.graph',
    ),
    (predictor(LONG), "65 characters"),
    (predictor("p", CONTAINER % "MLSERVER_HTTP_PORT"), "env.0: MLSERVER_HTTP_PORT is set by Seldon Core"),
    (predictor("p", CONTAINER % "MLSERVER_METRICS_PORT"), "MLSERVER_METRICS_PORT is set"),
    (predictor("p", CONTAINER % "MLSERVER_MODEL_URI"), "MLSERVER_MODEL_URI is set"),
    (predictor("p", CONTAINER % "PREDICTIVE_UNIT_PARAMETERS"), "PREDICTIVE_UNIT_PARAMETERS is set"),
    (predictor("p", CONTAINER % "PREDICTIVE_UNIT_SERVICE_PORT"), "PREDICTIVE_UNIT_SERVICE_PORT is set"),
]

FINE = [
    predictor("a"),
    predictor("a", "traffic: 100"),
    predictor("a", "traffic: 0"),
    f"{predictor('a', 'traffic: 99')}, {predictor('b', 'traffic: 1')}",
    f"{predictor('a', 'traffic: 100')}, {predictor('b', 'traffic: 0')}",
    f"{predictor('a')}, {predictor('s', 'shadow: true, traffic: 10')}",
    predictor("a", graph="implementation: HUGGINGFACE_SERVER"),
    predictor("p", CONTAINER % "OMP_NUM_THREADS", graph="type: MODEL"),
    predictor("p", CONTAINER % "MLSERVER_PARALLEL_WORKERS"),
]


@pytest.mark.parametrize(("predictors", "sentence"), REFUSED)
def test_what_seldon_core_refuses_is_told(predictors: str, sentence: str):
    findings = [str(finding) for finding in check(parse(manifest(predictors))) if finding.refused]
    assert any(sentence in finding for finding in findings), findings


@pytest.mark.parametrize(("predictors", "sentence"), ACCEPTED_BUT_LOSSY)
def test_what_seldon_core_takes_and_then_mishandles_is_told(predictors: str, sentence: str):
    findings = check(parse(manifest(predictors)))
    assert [finding for finding in findings if finding.refused] == []
    assert any(sentence in str(finding) for finding in findings), findings


@pytest.mark.parametrize("predictors", FINE)
def test_nothing_is_said_of_a_good_manifest(predictors: str):
    assert check(parse(manifest(predictors))) == ()


def test_a_deployment_needs_a_name_of_its_own_or_a_generated_one():
    text = manifest(predictor("a"))
    assert [f.path for f in check(parse(text.replace("{name: d}", "{}")))] == ["metadata.name"]
    assert check(parse(text.replace("{name: d}", "{generateName: d-}"))) == ()


def test_a_name_that_begins_with_a_digit_is_none_for_a_service():
    found = check(parse(manifest(predictor("1a"), name="2d")))
    assert [finding.path for finding in found if finding.refused] == ["metadata.name"]


def test_what_build_makes_breaks_no_rule():
    arms = [Arm(name, f"s3://b/{name}", "SKLEARN_SERVER") for name in ("v1", "v2", "v3")]
    shadow = Shadow(Arm("v4", "s3://b/v4", "SKLEARN_SERVER"), percent=20)
    assert check(build("wine", arms, {"v1": 80, "v2": 15, "v3": 5}, shadow=shadow)) == ()
