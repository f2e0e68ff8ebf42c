"""Each rule on a manifest that breaks it, and on ones that break none."""

import pytest
from fairtrial_graphs.build import Arm, Shadow, build
from fairtrial_graphs.seldon.rules import check
from fairtrial_graphs.seldon.text import mistakes, parse


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
    (
        predictor(
            "p", "componentSpecs: [{spec: {containers: [{name: p, resources: {limits: {cpu: 0.5}}}]}}]"
        ),
        'containers.0.resources.limits.cpu: a quantity is a whole number or a text; write "0.5"',
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


@pytest.mark.parametrize("how", ["value: 'true'", "valueFrom: {configMapKeyRef: {name: c, key: k}}"])
def test_nothing_is_said_of_routers_whose_branches_are_told(how: str):
    assert check(parse(routed(f"{{name: SELDON_ENABLE_ROUTING_INJECTION, {how}}}"))) == ()


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


def of_protocol(protocol: str, graph: str, more: str = "") -> str:
    return manifest(f"{{name: p, graph: {graph}{more}}}").replace("protocol: v2", f"protocol: {protocol}")


CHILD = "{name: %s, implementation: SKLEARN_SERVER, modelUri: gs://x}"
TWO = f"[{CHILD % 'a'}, {CHILD % 'b'}]"
PODS = ", componentSpecs: [{spec: {containers: [{name: r, image: r}]}}]"

BY_WEBHOOK = [
    (of_protocol("tensorflow", CHILD % "a"), "SKLEARN_SERVER does not speak the protocol tensorflow"),
    (
        of_protocol("v2, serverType: kafka", CHILD % "a"),
        "kafka needs KAFKA_BROKER, KAFKA_INPUT_TOPIC, KAFKA_OUT",
    ),
    (
        of_protocol("seldon", f"{{name: r, type: TRANSFORMER, children: {TWO}}}", PODS).replace(
            "name: p,", 'name: p, annotations: {seldon.io/no-engine: "true"},'
        ),
        "seldon.io/no-engine is for graphs of a single node",
    ),
    (
        of_protocol(
            "seldon, transport: grpc", CHILD.replace("name", "endpoint: {type: REST}, name", 1) % "a"
        ),
        "spec.predictors.0.graph.endpoint.type: REST contradicts spec.transport, which is grpc",
    ),
    (
        manifest(
            f"{predictor('a', 'traffic: 50, annotations: {seldon.io/svc-name: s}')}, "
            f"{predictor('b', 'traffic: 50, annotations: {seldon.io/svc-name: s}')}"
        ),
        'seldon.io/svc-name "s" is already that of spec.predictors.0',
    ),
    (of_protocol("v2", "{name: r, type: UNKNOWN_TYPE}", PODS), "says nothing of what it does"),
    (
        of_protocol(
            "v2", "{name: m, modelUri: x, implementation: S, children: [" * 11 + CHILD % "z" + "]}" * 11
        ),
        "nodes below 11 levels are not in Seldon Core's CRD",
    ),
]

ROUTED = (
    "{name: p%s, graph: {name: r, type: ROUTER, children: [{name: a, type: MODEL}]}, "
    "componentSpecs: [{spec: {containers: [{name: r, image: r}, {name: a, image: a}]}}]}"
)


def routed(svc_orch_spec: str = "", protocol: str = "seldon") -> str:
    """A router over a model, with these variables of the executor."""
    more = f", svcOrchSpec: {{env: [{svc_orch_spec}]}}" if svc_orch_spec else ""
    return manifest(ROUTED % more).replace("protocol: v2", f"protocol: {protocol}")


NO_BRANCH = "spec.predictors.0.svcOrchSpec.env: answers do not say which branch of r they took"

MISHANDLED = [
    (routed(), NO_BRANCH),
    (routed("{name: OTHER, value: x}"), NO_BRANCH),
    # The executor looks at the value's length only.
    (routed("{name: SELDON_ENABLE_ROUTING_INJECTION, value: ''}"), NO_BRANCH),
    (of_protocol("v2", f"{{name: r, type: ROUTER, children: {TWO}}}", PODS), "protocol v2 has no /route"),
    (
        of_protocol("v2", f"{{name: r, implementation: AVERAGE_COMBINER, children: {TWO}}}"),
        '"r" is a combiner, and protocol v2 has no /aggregate',
    ),
    (
        of_protocol("v2", f"{{name: r, implementation: RANDOM_ABTEST, children: {TWO}}}"),
        "at /v2/models/infer only",
    ),
    (
        of_protocol("seldon", f"{{name: r, implementation: RANDOM_ABTEST, children: [{CHILD % 'a'}]}}"),
        "chooses between two children; it has 1",
    ),
    (
        manifest(predictor("a", graph="implementation: SKLERN_SERVER, modelUri: x")),
        'did you mean "SKLEARN_SERVER"?',
    ),
    (
        manifest(predictor("a", "traffic: 100") + ", " + predictor("s", "shadow: true")),
        "Istio mirrors every request",
    ),
    (of_protocol("seldon", "{name: r, type: ROUTR}", PODS), '"ROUTR" is no type of node'),
    (
        manifest(predictor("p", "explainer: {type: AnchorTabular}", node="n"), name="e" * 53),
        "the explainer's Deployment would be called",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), BY_WEBHOOK)
def test_what_the_webhook_refuses_is_told(text: str, sentence: str):
    findings = [str(finding) for finding in check(parse(text)) if finding.refused]
    assert any(sentence in finding for finding in findings), findings


@pytest.mark.parametrize(("text", "sentence"), MISHANDLED)
def test_what_would_silently_go_wrong_is_told(text: str, sentence: str):
    findings = check(parse(text))
    assert [finding for finding in findings if finding.refused] == []
    assert any(sentence in str(finding) for finding in findings), findings


def test_build_refuses_what_seldon_core_would_and_a_shadow_that_would_mirror_everything():
    arm = Arm("v1", "s3://b/v1", "SKLEARN_SERVER")
    with pytest.raises(ValueError, match="already the name"):
        build("d", [arm, arm])
    with pytest.raises(ValueError, match="1 to 100 percent"):
        build("d", [arm], shadow=Shadow(Arm("v2", "s3://b/v2", "SKLEARN_SERVER"), percent=0))


def test_findings_of_a_file_have_their_line_and_column():
    text = "# two\n" + manifest(predictor("A", "traffic: 7")) + "---\n" + manifest(predictor("b"), name="X")
    refused, mishandled = mistakes(text, "m.yaml")
    assert [str(problem).partition(": ")[0] for problem in refused] == [
        "m.yaml:6:42 spec.predictors.0.name",
        "m.yaml:6:59 spec.predictors.0.graph.name",
        "m.yaml:6:122 spec.predictors.0.traffic",
        "m.yaml:11:18 metadata.name",
    ]
    assert mishandled == ()
